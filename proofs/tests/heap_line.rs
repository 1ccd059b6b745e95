//! The heap's line: of those who pass it one wins, and an arming that nobody passed stays.

#[allow(dead_code, reason = "the model uses its part")]
#[path = "../../src/meter/line.rs"]
mod line;

#[path = "sys/mod.rs"]
mod sys;

use std::sync::Arc;

use line::Line;

fn armed(bytes: u64) -> Arc<Line> {
    let line = Arc::new(Line::disarmed());
    line.arm(bytes);
    line
}

fn pass(line: &Arc<Line>, active_bytes: u64) -> loom::thread::JoinHandle<bool> {
    let line = Arc::clone(line);
    loom::thread::spawn(move || line.passed(|_| Some(active_bytes)))
}

#[test]
fn one_of_three_wins_the_line_that_all_pass() {
    loom::model(|| {
        let line = armed(100);
        let others = [pass(&line, 150), pass(&line, 160)];
        let mine = line.passed(|_| Some(170));
        let wins = others
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .chain([mine])
            .filter(|&won| won)
            .count();
        assert_eq!(wins, 1);
        // And then it is disarmed.
        assert!(!line.passed(|_| unreachable!("nobody asks below no line")));
    });
}

#[test]
fn an_arming_is_not_lost_to_who_passed_the_one_before() {
    loom::model(|| {
        let line = armed(100);
        let late = pass(&line, 150);
        // The worker arms it anew as soon as somebody rings.
        let mine = line.passed(|_| Some(160));
        if mine {
            line.arm(200);
        }
        assert!(mine != late.join().unwrap(), "two wins of one arming");
        if mine {
            assert!(!line.passed(|_| Some(200)));
            assert!(line.passed(|_| Some(201)), "the second arming is lost");
        }
    });
}

#[test]
fn an_arming_that_comes_while_another_stands_is_the_one_that_counts() {
    loom::model(|| {
        let line = armed(100);
        let event = pass(&line, 150);
        line.arm(200);
        event.join().unwrap();
        assert!(!line.passed(|_| Some(200)));
        assert!(line.passed(|_| Some(201)), "armed last, and lost");
    });
}

#[test]
fn a_line_that_is_disarmed_is_passed_by_nobody_any_more() {
    loom::model(|| {
        let line = armed(100);
        let event = pass(&line, 150);
        line.disarm();
        event.join().unwrap();
        assert!(!line.passed(|_| unreachable!("nobody asks below no line")));
    });
}
