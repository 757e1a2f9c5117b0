//! This machine: its name, boot, processors, memory and clock.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

use gjob_core::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest host name used in a path, bytes.
const MAX_HOSTNAME: usize = 200;

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

/// Milliseconds since the machine was booted, its sleep included.
pub(crate) fn since_boot_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// The kernel's boot id; empty where there is none, which equals no real one.
pub(crate) fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned()
    })
}

/// This program's own executable, even when its file was removed.
pub(crate) fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if path.exists() { Ok(path) } else { Ok(PathBuf::from("/proc/self/exe")) }
}

/// A text that nobody can guess, of letters, digits and hyphens.
pub(crate) fn random_text() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

/// Where a process ran, apart from its boot and the machine's name, which may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Made from its machine id; empty where it has none. Copies of one image may
    /// have the same.
    pub(crate) id: String,
    /// The number of its pid namespace: containers on one machine have one each.
    pub(crate) pids: u64,
}

/// This machine.
pub(crate) fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| Machine {
        id: ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|path| short_id(&std::fs::read_to_string(path).ok()?))
            .unwrap_or_default(),
        pids: std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino()),
    })
}

/// A machine id in few letters, which do not disclose it.
fn short_id(machine_id: &str) -> Option<String> {
    let id = machine_id.trim();
    // Otherwise it is one that was not made yet, such as `uninitialized`.
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| {
        let hash = blake3::derive_key("gjob 2026 machine id", id.as_bytes());
        hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    })
}

/// The machine's name as one harmless component of a path.
pub(crate) fn hostname() -> String {
    sanitize(&rustix::system::uname().nodename().to_string_lossy())
}

fn sanitize(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .take(MAX_HOSTNAME)
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => c,
            _ => '_',
        })
        .collect();
    if clean.is_empty() {
        "host".clone_into(&mut clean);
    } else if clean.starts_with('.') {
        clean.replace_range(..1, "_");
    }
    clean
}

/// Processors this process may use.
pub(crate) fn cpus() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1))
}

/// The numbers of the processors that this process may use.
pub(crate) fn processors() -> impl Iterator<Item = u32> {
    let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    let most = rustix::thread::CpuSet::MAX_CPU;
    (0..most).filter(move |number| set.is_set(*number)).map(|number| number as u32)
}

/// Memory in all, bytes.
pub(crate) fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
}

/// Processes that ran or waited to run in the last minute, on average, thousandths.
pub(crate) fn load_milli() -> u64 {
    first_load_milli(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default())
}

/// `0.52 0.58 0.59 1/467 3127`: the first number.
fn first_load_milli(loadavg: &str) -> u64 {
    let load: f64 = loadavg.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    (load * 1000.0) as u64
}

/// How many processes the kernel has ended for want of memory since the machine's start, be it
/// the machine's or a container's, as far as can be told of those in this process's own group
/// (its login session's, as a rule), else of all; none where the kernel does not say.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut files = kill_counters(&groups).into_iter().chain(["/proc/vmstat".into()]);
    files.find_map(|file| kills_in(&std::fs::read_to_string(file).ok()?))
}

/// The files that count what was killed of a process's own group, by what `/proc/self/cgroup`
/// says: that group's, or that of a group around it.
fn kill_counters(groups: &str) -> Vec<std::path::PathBuf> {
    let of_line = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.events"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.oom_control"),
            _ => return None,
        };
        let group = std::path::Path::new(root).join(path.trim_start_matches('/'));
        let around = group.ancestors().take_while(|it| it.starts_with(root));
        Some(around.map(|it| it.join(file)).collect::<Vec<_>>())
    };
    groups.lines().filter_map(of_line).flatten().collect()
}

fn kills_in(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?.parse().ok()
}

/// The GPUs that jobs may use, as `CUDA_VISIBLE_DEVICES` names them: those that
/// `GJOB_GPUS` or `CUDA_VISIBLE_DEVICES` lists, otherwise the devices that exist.
pub(crate) fn gpus() -> Vec<String> {
    let listed = ["GJOB_GPUS", "CUDA_VISIBLE_DEVICES"].into_iter().find_map(std::env::var_os);
    match listed {
        Some(list) => listed_gpus(&list.to_string_lossy()),
        None => existing_gpus(),
    }
}

/// The numbers N of `/dev/nvidiaN`.
fn existing_gpus() -> Vec<String> {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("nvidia")?.parse().ok();
    let mut numbers: Vec<u32> =
        devices.filter_map(|device| number(device.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| number.to_string()).collect()
}

fn listed_gpus(list: &str) -> Vec<String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    // CUDA takes this for the end of the list.
    let mut names: Vec<String> =
        names.take_while(|name| *name != "-1").map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use gjob_core::JobId;

    use super::*;

    #[test]
    fn kills_are_counted_in_the_own_group_of_either_version() {
        let names = |groups| {
            let files: Vec<_> = kill_counters(groups).into_iter().take(2).collect();
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        let user = "/sys/fs/cgroup/user.slice";
        assert_eq!(
            names("0::/user.slice/s.scope\n"),
            [format!("{user}/s.scope/memory.events"), format!("{user}/memory.events")]
        );
        let memory = "/sys/fs/cgroup/memory";
        assert_eq!(
            names("4:memory:/a\n1:cpu:/b\n"),
            [format!("{memory}/a/memory.oom_control"), format!("{memory}/memory.oom_control")]
        );
        assert_eq!(kills_in("low 0\noom 2\noom_kill 3\noom_group_kill 0\n"), Some(3));
        assert_eq!(kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), Some(4));
        assert_eq!(kills_in("oom 2\n"), None);
    }

    #[test]
    fn any_host_name_becomes_part_of_a_job_id() {
        for name in ["node1.lab", "", "..", "a b/c", "näme", &"x".repeat(999)] {
            let clean = sanitize(name);
            assert!(JobId::new(&clean, "2026-11-22", 1).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn machine_id_is_not_disclosed_and_may_be_missing() {
        let id = "0123456789abcdef0123456789abcdef";
        let short = short_id(&format!("{id}\n")).unwrap();
        assert!(short.len() == 8 && !id.contains(&short), "{short}");
        assert_eq!(short_id(id), Some(short));
        assert_eq!([short_id(""), short_id("uninitialized\n")], [None, None]);
    }

    #[test]
    fn load_is_the_first_number() {
        assert_eq!(first_load_milli("1.52 0.58 0.59 1/467 3127\n"), 1520);
        assert_eq!(first_load_milli(""), 0);
    }

    #[test]
    fn gpus_are_listed_once_each() {
        assert_eq!(listed_gpus("2, 0,,2"), ["0", "2"]);
        assert_eq!(listed_gpus("GPU-8ab,-1,3"), ["GPU-8ab"]);
        assert!(listed_gpus("").is_empty());
    }
}
