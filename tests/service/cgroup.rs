//! Under a limit that the kernel enforces (cgroup v1).

use crate::process::Service;
use crate::support::cgroup::Cgroup;
use crate::tools::{self, Load, wrk};

const LIMIT_BYTES: u64 = 64 << 20;

#[test]
fn the_oldest_events_make_room_below_the_limit() {
    if !tools::have(&["wrk", "curl"]) {
        return;
    }
    let Some(cgroup) = Cgroup::new("service") else {
        return;
    };
    cgroup.set_limit(LIMIT_BYTES);
    let service = Service::start_in(&cgroup);

    let memory = &service.usage()["memory"];
    assert_eq!(memory["limit_bytes"], LIMIT_BYTES);
    assert_eq!(memory["limit_source"], "cgroup v1 memory.limit_in_bytes");
    let percent = memory["percent"].as_f64().unwrap();
    assert!(percent > 0.0 && percent < 50.0, "{memory}");

    // A few MiB a second, round after round, until well past what the limit could hold.
    let load = Load {
        connections: 2,
        seconds: 2,
        batch: 20,
        symbol_bytes: 1000,
        pause_ms: 5,
    };
    let enough_events = 2 * LIMIT_BYTES / load.symbol_bytes;
    let mut answered = 0;
    for round in 0..120 {
        answered += load.batch * wrk(&service.url("/"), &round.to_string(), &load);
        if answered > enough_events {
            break;
        }
    }
    assert!(
        answered > enough_events,
        "only {answered} events in all rounds"
    );

    let counts = service.settled();
    assert!(counts.evicted > 0 && counts.held > 0, "{counts:?}");
    assert!(
        counts.accepted >= answered,
        "{answered} answered: {counts:?}"
    );
    let memory = &service.usage()["memory"];
    let percent = memory["percent"].as_f64().unwrap();
    assert!(percent > 10.0 && percent < 100.0, "{memory}");
    assert_eq!(cgroup.kills(), 0);
}
