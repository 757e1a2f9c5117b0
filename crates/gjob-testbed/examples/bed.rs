//! Raises hosts to try things on by hand: `cargo run -p gjob-testbed --example
//! bed -- 4`. Ends them when its stdin closes, at Ctrl-D or Ctrl-C.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]

use std::io;

use gjob_testbed::{Bed, NetBed};

const USAGE: &str = "usage: bed [--net] [HOSTS]";

fn main() -> Result<(), String> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let net = args.first().is_some_and(|arg| arg == "--net");
    if net {
        args.remove(0);
    }
    let hosts = match args.as_slice() {
        [] => 4,
        [count] => count.parse().map_err(|_| USAGE)?,
        _ => return Err(USAGE.to_owned()),
    };
    if net {
        let bed = NetBed::start(hosts).ok_or("a bed in namespaces needs root and iproute2")?;
        println!("{}", bed.ssh_config().display());
        wait_for_end();
    } else {
        let bed = Bed::start(hosts);
        println!("{}", bed.ssh_config().display());
        wait_for_end();
    }
    Ok(())
}

/// Reads stdin until it ends. What it holds, or why it ends, doesn't matter.
fn wait_for_end() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
