//! A fleet that is made up, second by second.

use super::*;

fn seen(name: &str, status: Status, health: Option<Health>, restarts_total: u64) -> Seen {
    Seen {
        name: name.to_owned(),
        status,
        health,
        restarts_total,
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One container through `steps` of (second, status, health, restarts, state).
type Step = (u64, Status, Option<Health>, u64, State);

fn through(steps: &[Step]) -> Wait {
    let mut wait = Wait::new(s(60));
    for (at, status, health, restarts_total, state) in steps {
        wait.observe(s(*at), &[seen("a", *status, *health, *restarts_total)]);
        assert_eq!(wait.containers["a"].state, *state, "at {at}");
    }
    wait
}

#[test]
fn a_health_check_decides_where_there_is_one() {
    use Status::Running;
    let wait = through(&[
        (
            0,
            Status::Created,
            Some(Health::Starting),
            0,
            State::Created,
        ),
        (1, Running, Some(Health::Starting), 0, State::Starting),
        (9, Running, Some(Health::Starting), 0, State::Starting),
        (10, Running, Some(Health::Unhealthy), 0, State::Unhealthy),
        (11, Running, Some(Health::Healthy), 0, State::Healthy),
    ]);
    let end = wait.end(s(11)).unwrap();
    assert_eq!((end.up, end.down), (vec!["a".to_owned()], vec![]));
}

#[test]
fn without_one_it_has_to_run_for_a_while() {
    let wait = through(&[
        (1, Status::Running, None, 0, State::Running),
        (3, Status::Running, None, 0, State::Running),
    ]);
    assert_eq!(wait.end(s(3)), None);
    let wait = through(&[
        (1, Status::Running, None, 0, State::Running),
        (4, Status::Running, None, 0, State::Settled),
    ]);
    assert!(wait.end(s(4)).is_some());
}

#[test]
fn a_loop_of_restarts_is_never_up() {
    let exited = Status::Exited {
        code: 1,
        is_final: false,
    };
    let state = State::Exited {
        code: 1,
        is_final: false,
    };
    let wait = through(&[
        (0, Status::Running, None, 0, State::Running),
        (
            2,
            Status::Restarting,
            None,
            1,
            State::Restarting { times: 1 },
        ),
        (3, Status::Running, None, 1, State::Restarting { times: 1 }),
        // Between the two it ran, but not for all of that time.
        (7, Status::Running, None, 2, State::Restarting { times: 2 }),
        (8, exited, None, 2, state),
    ]);
    assert_eq!(wait.end(s(59)), None);
    let end = wait.end(s(60)).unwrap();
    assert_eq!((end.up, end.down), (vec![], vec![("a".to_owned(), state)]));
    // One that recovers is up.
    through(&[
        (
            0,
            Status::Restarting,
            None,
            4,
            State::Restarting { times: 4 },
        ),
        (1, Status::Running, None, 5, State::Restarting { times: 5 }),
        (4, Status::Running, None, 5, State::Settled),
    ]);
}

#[test]
fn nobody_waits_for_what_is_lost() {
    let mut wait = Wait::new(s(60));
    let lost = Status::Exited {
        code: 3,
        is_final: true,
    };
    let up = seen("a", Status::Running, Some(Health::Healthy), 0);
    wait.observe(
        s(0),
        &[
            up.clone(),
            seen("b", lost, None, 0),
            seen("c", Status::Created, None, 0),
        ],
    );
    assert_eq!(wait.end(s(1)), None);
    let changes = wait.observe(s(1), &[up, seen("b", lost, None, 0)]);
    assert_eq!(changes, ["c: gone"]);
    let end = wait.end(s(1)).unwrap();
    assert_eq!(end.up, ["a"]);
    let why: Vec<_> = end
        .down
        .iter()
        .map(|(name, state)| format!("{name} {state}"))
        .collect();
    assert_eq!(why, ["b ended with 3", "c gone"]);
}

#[test]
fn a_line_is_said_once_for_each_change() {
    let mut wait = Wait::new(s(60));
    let starting = [seen("a", Status::Running, Some(Health::Starting), 0)];
    assert_eq!(wait.observe(s(0), &starting), ["a: starting"]);
    assert_eq!(wait.observe(s(1), &starting), [""; 0]);
    let healthy = [seen("a", Status::Running, Some(Health::Healthy), 0)];
    assert_eq!(wait.observe(s(2), &healthy), ["a: healthy"]);
}

#[test]
fn nothing_is_up_when_there_is_nothing() {
    let wait = Wait::new(s(60));
    let end = wait.end(s(0)).unwrap();
    assert_eq!((end.up, end.down), (vec![], vec![]));
}

#[test]
fn the_bound_ends_it_whatever_is_seen() {
    proptest::proptest!(|(steps in proptest::collection::vec((0_u64..5, 0_u8..5, 0_u8..4, 0_u64..3), 0..30))| {
        let mut wait = Wait::new(s(60));
        let mut at = 0;
        let mut restarts_total = 0;
        for (later, status, health, restarts) in steps {
            at += later;
            restarts_total += restarts;
            let status = [
                Status::Created,
                Status::Running,
                Status::Paused,
                Status::Restarting,
                Status::Exited { code: 1, is_final: restarts == 0 },
            ][usize::from(status)];
            let health = [None, Some(Health::Starting), Some(Health::Healthy), Some(Health::Unhealthy)][usize::from(health)];
            wait.observe(s(at), &[seen("a", status, health, restarts_total)]);
            // Only what runs is up.
            if let Some(end) = wait.end(s(at)) && !end.up.is_empty() {
                assert_eq!(status, Status::Running);
            }
        }
        assert!(wait.end(s(60)).is_some());
    });
}
