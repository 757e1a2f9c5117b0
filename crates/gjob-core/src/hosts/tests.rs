//! Lists and files as users write them, right and wrong.

use proptest::prelude::*;

use super::*;

/// The hosts of a list as `SLOTS/LABEL`.
fn hosts(list: &str) -> Vec<String> {
    let show = |host: HostEntry| {
        let slots = host.slots.map(|n| format!("{n}/")).unwrap_or_default();
        format!("{slots}{}", host.label().unwrap())
    };
    let hosts = parse_list(list).unwrap_or_else(|e| panic!("{list:?}: {e}"));
    hosts.into_iter().map(show).collect()
}

fn errors(list: &str) -> Vec<String> {
    let errors = parse_list(list).expect_err(list);
    errors.to_string().lines().map(str::to_owned).collect()
}

/// What is wrong with the only item of a list.
fn problem(item: &str) -> String {
    let errors = errors(item);
    assert_eq!(errors.len(), 1, "{item:?}: {errors:#?}");
    errors[0].strip_prefix("host list, item 1: ").unwrap().to_owned()
}

#[test]
fn an_entry_may_have_slots_a_user_and_a_port() {
    assert_eq!(
        hosts("node1, 4/alice@node2:2222,a@corp@gate"),
        ["node1", "4/alice@node2:2222", "a@corp@gate"]
    );
    assert_eq!(hosts(":"), [":"]);
    let local = parse_list("4/:").unwrap();
    assert_eq!((local[0].slots, local[0].is_local()), (Some(4), true));
}

#[test]
fn ranges_expand_in_order_and_keep_their_zeros() {
    assert_eq!(hosts("n[8-11]"), ["n8", "n9", "n10", "n11"]);
    assert_eq!(hosts("n[08-10,40]"), ["n08", "n09", "n10", "n40"]);
    assert_eq!(hosts("n[99-101]x,m[098-99]").len(), 5);
    assert_eq!(hosts("[1-2].lab"), ["1.lab", "2.lab"]);
    assert_eq!(
        hosts("2/u@r[1-2]n[01-02]:22"),
        ["2/u@r1n01:22", "2/u@r1n02:22", "2/u@r2n01:22", "2/u@r2n02:22"]
    );
}

#[test]
fn an_ipv6_address_is_no_range() {
    assert_eq!(hosts("[::1]:22,2/u@[fe80::1%eth0]"), ["[::1]:22", "2/u@[fe80::1%eth0]"]);
    assert_eq!(parse_list("[::1]:22").unwrap()[0].destination(), "::1");
    assert_eq!(
        problem("[::g]"),
        r#"invalid IPv6 address "[::g]": expected one such as [fe80::1%eth0]"#
    );
    assert_eq!(
        problem("fe80::1"),
        r#"invalid host "fe80::1": an IPv6 address is written in brackets, such as [::1]:22"#
    );
}

#[test]
fn malformed_parts_are_named_with_what_would_be_accepted() {
    let cases = [
        ("", "empty entry: expected [SLOTS/][USER@]NAME[:PORT]"),
        ("0/a", r#"invalid slots "0": expected a number from 1 to 10000"#),
        ("+1/a", r#"invalid slots "+1": expected a number from 1 to 10000"#),
        ("a:0", r#"invalid port "0": expected a number from 1 to 65535"#),
        ("a:", r#"invalid port "": expected a number from 1 to 65535"#),
        ("a:65536", r#"invalid port "65536": expected a number from 1 to 65535"#),
        (":22", r#"invalid host ":22": this machine is written : or SLOTS/:"#),
        ("u@:", r#"invalid host "u@:": this machine is written : or SLOTS/:"#),
        ("n[9-3]", "reversed range 9-3: expected 3-9"),
        ("n[09-03]", "reversed range 09-03: expected 03-09"),
        (
            "-x@a",
            r#"invalid user "-x": expected letters, digits and -._@, not starting with a dash"#,
        ),
        ("@a", "@a is a group of gjob.toml: expected a host, or the group in -H, without slots"),
        ("a/4", "invalid host a/4: slots come first, expected 4/a"),
    ];
    for (item, message) in cases {
        assert_eq!(problem(item), message, "{item:?}");
    }
}

#[test]
fn malformed_ranges_are_refused() {
    for range in [
        "[1-]",
        "[-1]",
        "[]",
        "[1,]",
        "[a-c]",
        "[1-3/2]",
        "[1 2]",
        "[1-2-3]",
        "[1-010]",
        "[1234567890]",
        "[1",
        "[[1-2]]",
    ] {
        let message = problem(&format!("n{range}"));
        assert!(message.starts_with("invalid range \"["), "{range}: {message}");
        assert!(
            message.ends_with(
                ": expected numbers and ascending ranges in brackets, such as [01-32,40]"
            ),
            "{range}: {message}"
        );
    }
}

#[test]
fn a_name_that_ssh_or_a_shell_could_misread_is_refused() {
    for name in ["-oProxyCommand=x", "a b", "a;b", "a$(b)", "a\u{1b}b", "é", "a]", "n{1,2}"] {
        let message = errors(name).remove(0);
        assert!(message.contains(": invalid host name \""), "{name:?}: {message}");
    }
    let long = "a".repeat(201);
    assert!(problem(&long).contains("up to 200 letters"));
    assert!(!problem("a\u{1b}b").contains('\u{1b}'));
}

#[test]
fn all_errors_come_at_once_each_with_its_place() {
    assert_eq!(
        errors("a,,0/b:x,c[2-1],a"),
        [
            "host list, item 2: empty entry: expected [SLOTS/][USER@]NAME[:PORT]",
            r#"host list, item 3: invalid slots "0": expected a number from 1 to 10000"#,
            r#"host list, item 3: invalid port "x": expected a number from 1 to 65535"#,
            "host list, item 4: reversed range 2-1: expected 1-2",
            r#"host list, item 5: host "a" is named twice, first at host list, item 1"#,
        ]
    );
}

#[test]
fn a_host_is_the_same_whatever_its_slots_and_another_by_user_or_port() {
    assert_eq!(
        errors("n[1-5],4/n[3-9]"),
        [
            r#"host list, item 2: host "n3" (and 2 more of this entry) is named twice, first at host list, item 1"#
        ]
    );
    assert_eq!(errors("n[1,1]").len(), 1);
    assert_eq!(errors(":,4/:").len(), 1);
    assert_eq!(hosts("n,u@n,n:22").len(), 3);
}

#[test]
fn more_hosts_than_a_run_may_have_are_refused_before_they_are_made() {
    assert_eq!(parse_list("n[1-100000]").unwrap().len(), MAX_HOSTS);
    assert_eq!(
        errors("a[0-999999999][0-999999999][0-999999999],b,c"),
        [format!(
            "host list, item 1: too many hosts: {} or more so far, at most 100000 are allowed",
            usize::MAX
        )]
    );
    assert_eq!(
        errors("n[1-100000],b,c"),
        ["host list, item 2: too many hosts: 100001 or more so far, at most 100000 are allowed"]
    );
}

#[test]
fn hosts_of_a_hosts_file_may_have_labels() {
    let text = "h1 labels=a100\nn[1-2]  labels=a100,big # both\nh2\n";
    let hosts = parse_hosts_file("lab", text).unwrap();
    let labels: Vec<_> = hosts.iter().map(|host| (&*host.name, host.labels.join("+"))).collect();
    let expected = [("h1", "a100"), ("n1", "a100+big"), ("n2", "a100+big"), ("h2", "")];
    assert_eq!(labels, expected.map(|(name, labels)| (name, labels.to_owned())));
    assert_eq!(
        parse_hosts_file("lab", "h1 labels=\nh2 labels=a b\n").unwrap_err().to_string(),
        "lab:1: invalid label \"\": expected up to 40 letters, digits and -_\n\
         lab:2: invalid label \"a b\": expected up to 40 letters, digits and -_"
    );
}

#[test]
fn a_hosts_file_has_an_entry_a_line_comments_and_blank_lines() {
    let text = "\u{feff}# lab\r\n\r\n4/node1 # the fast one\r\n  node[2-3]\r\n";
    let text = crate::plain_text::read(text.as_bytes()).unwrap();
    let hosts = parse_hosts_file("lab", &text).unwrap();
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    assert_eq!(
        parse_hosts_file("lab", "a\n#\nb c\nd,e\n").unwrap_err().to_string(),
        "lab:3: invalid host name \"b c\": expected up to 200 letters, digits and -._, not starting with a dash\n\
         lab:4: invalid host name \"d,e\": expected up to 200 letters, digits and -._, not starting with a dash"
    );
    assert_eq!(
        parse_hosts_file("lab", "# nothing\n").unwrap_err().to_string(),
        "lab: no hosts: expected [SLOTS/][USER@]NAME[:PORT], one per line"
    );
}

#[test]
fn a_cluster_file_names_its_management_node_then_its_workers() {
    let cluster = parse_cluster_file("c", "# c\nadmin@gate\n\nn[1-2]\ngate\n").unwrap();
    assert_eq!(cluster.management.unwrap().destination(), "admin@gate");
    let workers: Vec<&str> = cluster.workers.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(workers, ["n1", "n2", "gate"]);
    let error = |text| parse_cluster_file("c", text).unwrap_err().to_string();
    assert_eq!(
        error("gate\n"),
        "c: no workers: expected the management node on the first line, and its workers below"
    );
    assert_eq!(
        error("gate[1-2]\nn1\nn1\n"),
        "c:1: invalid management node: expected one host, found 2\n\
         c:3: host \"n1\" is named twice, first at c:2"
    );
    assert!(error("4/gate\nn1").starts_with("c:1: the management node runs no jobs"));
    assert!(error("").starts_with("c: no hosts"));
}

#[test]
fn hosts_are_told_apart_across_lists_and_files() {
    let mut reader = HostReader::new();
    reader.list("n1");
    reader.hosts_file("h", "n2");
    reader.cluster_file("c", "gate\nn1\nn2");
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "c:2: host \"n1\" is named twice, first at host list, item 1\n\
         c:3: host \"n2\" is named twice, first at h:1"
    );
}

proptest! {
    #[test]
    fn expansion_is_the_naive_product(
        start in 0u32..1200, length in 0u32..120, width in 1usize..5, single in 5000u32..6000,
        letters in "[a-z]{0,3}", second in 1u32..9,
    ) {
        let end = start + length;
        let list = format!("x[{start:0width$}-{end:0width$},{single}]{letters}-[1-{second}]");
        let padding = if format!("{start:0width$}").starts_with('0') { width } else { 1 };
        let mut naive = Vec::new();
        for number in (start..=end).chain([single]) {
            for last in 1..=second {
                let width = if number == single { 1 } else { padding };
                naive.push(format!("x{number:0width$}{letters}-{last}"));
            }
        }
        prop_assert_eq!(hosts(&list), naive);
    }

    #[test]
    fn arbitrary_text_never_panics_and_what_it_gives_has_a_label(
        text in "([a-z0-9/@:,\\-%\\[\\]#\n ]|\\PC){0,40}",
    ) {
        let mut reader = HostReader::new();
        let mut hosts = reader.list(&text);
        hosts.extend(reader.hosts_file("h", &text));
        if let Some(cluster) = reader.cluster_file("c", &text) {
            hosts.extend(cluster.workers);
            hosts.extend(cluster.management);
        }
        for host in hosts {
            prop_assert!(host.label().is_ok(), "{host:?}");
        }
    }
}
