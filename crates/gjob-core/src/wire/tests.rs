//! The format of the wire.

use std::time::Duration;

use super::*;
use crate::outcome::Cause;
use crate::resources::Cpus;
use crate::wire::{PROTOCOL, decode, encode};
use crate::{JobRequest, Key, Order, Shell};

/// The bytes of the wire: a difference here needs a new PROTOCOL.
#[test]
fn wire_format_is_pinned() {
    let request = JobRequest {
        name: Some("n".into()),
        repeat_index: 2,
        env: [("A".into(), "b".into())].into(),
        timeout_ms: Some(300),
        cpus: Cpus::Count(1),
        affinity: true,
        mem: 0,
        gpus: 0,
        shell: Shell::Always,
    };
    let launch = ToAgent::Launch(Box::new(Launch {
        key: Key::new(3, 1),
        request,
        script: "true\n".into(),
        files: vec![Input {
            name: "f".into(),
            hash: BlobHash([7; 32]),
            mode: 0o644,
            mtime_ns: 1,
            kind: InputKind::File,
            hard_link: false,
        }],
        is_task: false,
        dropped: 9,
    }));
    let frame = encode(&launch);
    assert_eq!(frame.len(), 75, "{frame:02x?}");
    assert_eq!(frame[74], 9);
    assert_eq!(frame[..10], [71, 0, 0, 0, 1, 3, b'3', b'.', b'1', 1]);
    assert_eq!(frame[10..28], [1, b'n', 2, 1, 1, b'A', 1, b'b', 1, 172, 2, 1, 1, 1, 0, 0, 1, 5]);
    let kill = Order::Kill { cause: Cause::Killed, grace: Duration::from_millis(5) };
    let order = encode(&ToAgent::Order { key: Key::new(3, 1), order: kill });
    assert_eq!(order, [8, 0, 0, 0, 3, 3, b'3', b'.', b'1', 0, 1, 5]);
    let pong = encode(&FromAgent::Pong { nonce: 5, at_ms: 6, clock_ms: 7 });
    assert_eq!(pong, [4, 0, 0, 0, 15, 5, 6, 7]);
    let by_hand = ByHand::Kill { grace: Duration::from_millis(5) };
    let id = "h/2026-11-22-3".parse().unwrap();
    let by_hand = encode(&ToAgent::ByHand { request: 5, id, work: by_hand });
    assert_eq!(by_hand[4..7], [18, 5, 14], "{by_hand:02x?}");
    let done = encode(&FromAgent::ByHand { request: 5, result: Ok(ByHandAnswer::Done) });
    assert_eq!(done, [4, 0, 0, 0, 17, 5, 0, 2]);
    assert_eq!(encode(&ToAgent::Usage { request: 5 }), [2, 0, 0, 0, 20, 5]);
    let probe = encode(&ToAgent::StartProbe { request: 5, seconds: 6 });
    assert_eq!(probe, [3, 0, 0, 0, 21, 5, 6]);
    assert_eq!(encode(&ToAgent::Tell), [1, 0, 0, 0, 23]);
    assert_eq!(encode(&FromAgent::Told { hosts: 3 }), [2, 0, 0, 0, 24, 3]);
    assert_eq!(encode(&ToAgent::HostCount { hosts: 3 }), [2, 0, 0, 0, 25, 3]);
    assert_eq!(encode(&FromAgent::HostCount { hosts: 3 }), [2, 0, 0, 0, 26, 3]);
    assert_eq!(encode(&FromAgent::Sharing(Sharing::Goes)), [2, 0, 0, 0, 25, 1]);
    let (hash, id) = (BlobHash([7; 32]), "h/2026-11-22-3".parse().unwrap());
    let take = encode(&ToAgent::TakeBlob { hash, size: 5, id, path: "p".into() });
    assert_eq!((take[4..6].to_vec(), &take[37..39]), (vec![24, 7], &[5, 14][..]), "{take:02x?}");
    assert_eq!(take[53..], [1, b'p']);
    let (reason, scope) = ("r".into(), crate::record::Scope::Job);
    let gone = encode(&FromAgent::CollectFailed { request: 5, reason, scope, is_gone: true });
    assert_eq!(gone[5..], [5, 1, b'r', 0, 1], "{gone:02x?}");
    assert_eq!(PROTOCOL, 8);
}

#[test]
fn whole_host_travels_as_no_number_of_processors() {
    let request = JobRequest { cpus: Cpus::All, ..JobRequest::default() };
    let bytes = encode(&request);
    assert_eq!(bytes[4..], [0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(decode::<JobRequest>(&bytes[4..]).unwrap(), request);
}
