//! The seed's functions over real ssh and scp.

use gjob::remote::{
    RemoteOptions, check_remote_commands, copy_local_files_to_remote_host, write_remote_file,
};
use gjob_testbed::{Bed, is_installed};

fn options(bed: &Bed) -> RemoteOptions {
    RemoteOptions { ssh_config: Some(bed.ssh_config().to_owned()), ..RemoteOptions::default() }
}

/// The login shells of this machine.
fn each_login_shell(bed: &Bed, mut test: impl FnMut(&Bed)) {
    for shell in ["bash", "dash", "csh", "fish", "zsh"] {
        if is_installed(shell) {
            bed.host(1).set_login_shell(shell);
            test(bed);
        }
    }
}

#[test]
fn commands_run_in_order_and_their_output_comes_back_without_the_start_up_files_noise() {
    each_login_shell(&Bed::builder().noise("Welcome").start(), |bed| {
        let commands = ["cd /", "x='a  b'", "pwd; echo \"$x\" >&2", "printf '%s' \"$x\""];
        let output = check_remote_commands("h1", &commands, &options(bed)).unwrap();
        assert_eq!(output, b"/\na  b");
    });
}

#[test]
fn the_first_command_that_fails_ends_them_with_its_status_and_words() {
    let bed = Bed::start(1);
    let commands = ["echo one", "echo because >&2; (exit 7)", "touch two"];
    let error = check_remote_commands("h1", &commands, &options(&bed)).unwrap_err().to_string();
    assert!(error.ends_with("exit status: 7: because"), "{error}");
    assert!(!bed.host(1).home().join("two").exists());
}

#[test]
fn a_host_that_cannot_be_reached_is_a_failure() {
    let bed = Bed::start(1);
    bed.host(1).stop();
    let error = check_remote_commands("h1", &["true"], &options(&bed)).unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
}

/// Names that a shell would take for more than names.
const NAMES: [&str; 5] = ["plain", "a b", "it's $(touch evil)", "*", "größe"];

fn content() -> Vec<u8> {
    (0..100_000u32).map(|i| (i * 31) as u8).collect()
}

#[test]
fn files_are_written_byte_for_byte_whatever_their_names_and_the_noise() {
    each_login_shell(&Bed::builder().noise("Welcome").start(), |bed| {
        let home = bed.host(1).home();
        for name in NAMES {
            write_remote_file("h1", name, &content(), &options(bed)).unwrap();
            assert_eq!(std::fs::read(home.join(name)).unwrap(), content());
        }
        assert!(!home.join("evil").exists());
    });
}

#[test]
fn files_are_copied_byte_for_byte_whatever_their_names() {
    each_login_shell(&Bed::start(1), |bed| {
        let home = bed.host(1).home();
        for name in NAMES {
            let local = tempfile::tempdir().unwrap();
            let files = [name, "-x:y"].map(|file| local.path().join(file));
            files.iter().for_each(|file| std::fs::write(file, content()).unwrap());
            let directory = format!("d {name}");
            std::fs::create_dir_all(home.join(&directory)).unwrap();
            copy_local_files_to_remote_host("h1", &directory, &files, &options(bed)).unwrap();
            for file in [name, "-x:y"] {
                assert_eq!(std::fs::read(home.join(&directory).join(file)).unwrap(), content());
            }
        }
        assert!(!home.join("evil").exists());
    });
}

#[test]
fn a_copy_into_a_directory_that_is_not_there_is_a_failure() {
    let bed = Bed::start(1);
    let local = tempfile::tempdir().unwrap();
    let file = local.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let copied = copy_local_files_to_remote_host("h1", "no/such", &[file], &options(&bed));
    assert!(copied.is_err());
    assert!(write_remote_file("h1", "no/such/f", b"x", &options(&bed)).is_err());
}
