//! The environment variables that gjob reads, for its help.

pub(super) const ENVIRONMENT: &str = "\
Environment:
  GJOB_HOSTS          Hosts where no option names any, as for --hosts
  GJOB_REMOTE_PATH    Default of --results-dir
  GJOB_STATE_DIR      Where runs are recorded [default: $XDG_STATE_HOME/gjob, or
                      ~/.local/state/gjob]
  GJOB_SSH            Program to use as ssh [default: ssh]
  GJOB_PYTHON         Python for job files [default: python3]
  XDG_CONFIG_HOME     Where gjob/gjob.toml is [default: ~/.config]
  NO_COLOR            No colours; CLICOLOR_FORCE=1: colours anywhere
  On hosts:
  GJOB_GPUS           GPUs for jobs: 0,1 [default: CUDA_VISIBLE_DEVICES, or all]";
