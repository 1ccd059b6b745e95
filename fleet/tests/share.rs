//! What the host has is never handed out twice, and who gets it first.

use plimsoll_fleet::decide::{Action, Alert, Verdict, Wanted, share};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

const MIB: u64 = 1 << 20;

fn wanted(
    service: &str,
    limit_mib: u64,
    to_mib: u64,
    priority: i32,
    after_kill: bool,
) -> Wanted<'_> {
    Wanted {
        service,
        limit_bytes: limit_mib * MIB,
        priority,
        verdict: Verdict {
            action: Action::Grow {
                to_bytes: to_mib * MIB,
            },
            reason: "it grows".to_owned(),
            alert: None,
            after_kill,
        },
    }
}

#[test]
fn a_short_budget_serves_kills_then_priorities_and_tells_who_waits() {
    let mut all = [
        wanted("news", 100, 200, 1, false),
        wanted("fusion", 100, 200, 9, false),
        wanted("pusher", 100, 200, 0, true),
    ];
    share(&mut all, 450 * MIB);
    assert_eq!(
        all[2].verdict.action,
        Action::Grow {
            to_bytes: 200 * MIB
        }
    );
    assert_eq!(
        all[1].verdict.action,
        Action::Grow {
            to_bytes: 150 * MIB
        }
    );
    assert_eq!(all[1].verdict.alert, Some(Alert::HostFull));
    assert_eq!(all[0].verdict.action, Action::Hold);
    assert_eq!(all[0].verdict.alert, Some(Alert::HostFull));
    assert_eq!(
        all[0].verdict.reason,
        "it grows; but the host has 0 B left of 450 MiB: news waits"
    );
}

proptest! {
    #[test]
    fn no_choice_of_verdicts_exceeds_the_budget(
        asked in prop::collection::vec((0u64..2000, 0u64..2000, -3i32..3, any::<bool>()), 1..30),
        budget_mib in 0u64..40_000,
    ) {
        let mut all: Vec<Wanted<'_>> = asked
            .iter()
            .map(|(limit, more, priority, kill)| wanted("service", *limit, limit + more, *priority, *kill))
            .collect();
        share(&mut all, budget_mib * MIB);
        let before: u64 = all.iter().map(|one| one.limit_bytes).sum();
        let after: u64 = all
            .iter()
            .map(|one| match one.verdict.action {
                Action::Grow { to_bytes } => to_bytes,
                _ => one.limit_bytes,
            })
            .sum();
        prop_assert!(after <= before.max(budget_mib * MIB));
        for (one, (limit, more, ..)) in all.iter().zip(&asked) {
            let whole = one.verdict.action == Action::Grow { to_bytes: (limit + more) * MIB };
            prop_assert_eq!(one.verdict.alert == Some(Alert::HostFull), !whole);
        }
    }
}
