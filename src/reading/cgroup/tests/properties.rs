//! What holds for any input.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Cgroup, copy_of};
use crate::reading::cgroup::locate::locate;
use crate::reading::cgroup::paths::{CgroupPath, Hierarchy, memory_membership, memory_mounts};
use crate::reading::cgroup::stat::{parse_limit_bytes, value};
use crate::reading::cgroup::{v1, v2};

/// Bytes, and words that steer them into the deeper parts of the parsers.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "\n",
        " ",
        " - ",
        ":",
        "::",
        ",",
        "0",
        "4",
        "memory",
        "cgroup",
        "cgroup2",
        "rw,memory",
        "/",
        "/..",
        "/a",
        "\\",
        "\\040",
        "\\777",
        "max",
        "inactive_file ",
        "active_file ",
        "hierarchical_memory_limit ",
        "18446744073709551615",
    ]);
    let piece = prop_oneof![4 => words.prop_map(|word| word.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..8)];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec!["/a", "/b", "/..", "/.", "/", "a", "/a\0", "/a b"]);
    vec(part, 0..6).prop_map(|parts| parts.concat().into_bytes())
}

/// What the kernel makes of the absolute cgroup `to` for a reader whose namespace's root is `from`.
fn seen_from(from: &[char], to: &[char]) -> String {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let ups = "/..".repeat(from.len() - common);
    let downs: String = to[common..].iter().map(|name| format!("/{name}")).collect();
    Some(ups + &downs)
        .filter(|path| !path.is_empty())
        .unwrap_or("/".into())
}

fn escaped(plain: &[u8]) -> Vec<u8> {
    plain
        .iter()
        .flat_map(|byte| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            _ => vec![*byte],
        })
        .collect()
}

fn names() -> impl Strategy<Value = Vec<char>> {
    vec(prop::sample::select(vec!['a', 'b']), 0..4)
}

proptest! {
    #[test]
    fn no_text_panics(text in text()) {
        memory_membership(&text);
        memory_mounts(&text, Hierarchy::V1);
        memory_mounts(&text, Hierarchy::V2);
        parse_limit_bytes(&text);
        value(&text, "inactive_file");
        v1::DIALECT.cache_keys.reclaimable_bytes(&text);
        v2::DIALECT.cache_keys.reclaimable_bytes(&text);
        CgroupPath::parse(&text);
    }

    #[test]
    fn escapes_round_trip(root in vec(any::<u8>(), 1..20), point in vec(any::<u8>(), 1..20)) {
        let line = [b"1 2 0:3 ".as_slice(), &escaped(&root), b" ", &escaped(&point), b" rw - cgroup2 none rw"].concat();
        let mounts = memory_mounts(&line, Hierarchy::V2);
        prop_assert_eq!(mounts.len(), 1);
        prop_assert_eq!(&mounts[0].root, &root);
        prop_assert_eq!(&mounts[0].point, &point);
    }

    /// Seen from any namespace, a cgroup lies below a mount's root exactly when it does in the whole tree, and as deep.
    #[test]
    fn namespaces_change_names_but_not_places(namespace in names(), own in names(), root in names()) {
        let seen_own = seen_from(&namespace, &own);
        let seen_root = seen_from(&namespace, &root);
        let own_path = CgroupPath::parse(seen_own.as_bytes()).unwrap();
        let root_path = CgroupPath::parse(seen_root.as_bytes()).unwrap();
        let below = own_path.below(&root_path);

        let truth = own.strip_prefix(root.as_slice());
        prop_assert_eq!(below.map(|below| below.depth()), truth.map(<[char]>::len), "{} in {}", seen_own, seen_root);
        for levels in 0..=own.len() {
            let ancestor = &own[..own.len() - levels];
            // An ancestor that the namespace is below goes up; its names go away with it.
            if namespace.starts_with(ancestor) || ancestor.starts_with(&namespace) {
                prop_assert_eq!(own_path.ancestor(levels).to_string(), seen_from(&namespace, ancestor));
            }
        }
    }

    #[test]
    fn every_step_stays_below_its_mount(path in path(), root in path()) {
        let tree = Path::new("/nowhere");
        let line = [b"1 2 0:3 ".as_slice(), &escaped(&root), b" /mnt/cg rw - cgroup2 none rw"].concat();
        let mounts = memory_mounts(&line, Hierarchy::V2);
        for step in locate(tree, &path, &mounts, &mut Vec::new()) {
            prop_assert!(step.dir.starts_with("/nowhere/mnt/cg"), "{:?}", step);
            prop_assert!(!step.dir.components().any(|part| part.as_os_str() == ".."), "{:?}", step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_tree_panics(
        membership in prop_oneof![text(), path().prop_map(|path| [b"0::".as_slice(), &path].concat())],
        mountinfo in text(),
        limit in text(),
        stat in text(),
    ) {
        let root = copy_of("docker_v2");
        let proc_self = root.path().join("proc/self");
        let mut mounts = fs::read(proc_self.join("mountinfo")).unwrap();
        mounts.extend(mountinfo);
        fs::write(proc_self.join("mountinfo"), mounts).unwrap();
        fs::write(proc_self.join("cgroup"), membership).unwrap();
        fs::write(root.path().join("sys/fs/cgroup/memory.max"), limit).unwrap();
        fs::write(root.path().join("sys/fs/cgroup/memory.stat"), stat).unwrap();
        let cgroup = Cgroup::resolve(root.path(), None);
        prop_assert!(cgroup.refresh(&mut Vec::new()));
        prop_assert!(!cgroup.membership_changed(&mut Vec::new()));
        for level in cgroup.levels() {
            level.read().headroom_bytes();
        }
    }
}
