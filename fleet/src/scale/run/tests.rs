//! The loop with an engine that does as it is told, and a clock that a test moves.

mod budget;
mod ends;
mod events;
mod fake;
mod mistakes;
mod overtaken;
mod shrinking;

use std::time::Duration;

use crate::failure::Failure;
use crate::scale::run::tests::fake::{Stage, World};

const INTERVAL: Duration = Duration::from_secs(30);

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_needs_more_gets_it_in_the_first_round_and_again_after_its_cooldown() {
    let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    world.uses("a", 140);
    // Three more rounds, all within the cooldown.
    pass(95).await;
    assert_eq!(world.resizes().len(), 1);
    pass(30).await;
    assert_eq!(world.resizes()[1..], [("crypto-a", 225)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(
        ended.decisions[0].starts_with("a 100 MiB -> 150 MiB: "),
        "{:?}",
        ended.decisions
    );
    assert_eq!(ended.decisions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_answered_at_once() {
    let world = World::new(&[("a", 40, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(10).await;
    assert!(world.resizes().is_empty());
    let killed = tokio::time::Instant::now();
    // Engines tell of one kill several times.
    for _ in 0..3 {
        world.kill("a").await;
    }
    pass(5).await;
    assert!(world.resizes().len() == 1 && world.resizes()[0].1 > 100);
    let took = world.when()[0].duration_since(killed);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // Another one is another one, cooldown or not.
    world.kill("a").await;
    pass(1).await;
    assert_eq!(world.resizes().len(), 2);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_was_never_seen_is_looked_for_when_it_is_killed() {
    let world = World::new(&[]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.starts("b", 10, 100);
    world.kill("b").await;
    pass(1).await;
    assert_eq!(world.resizes().len(), 1);
    world.kill("stranger").await;
    pass(1).await;
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_and_returns_is_survived() {
    let world = World::new(&[("a", 40, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.goes_away();
    let asked = world.lists();
    pass(300).await;
    let asked = world.lists() - asked;
    // 1, 2, 4, 8, 16 seconds, then each interval.
    assert!((10..=16).contains(&asked), "{asked}");
    world.uses("a", 90);
    world.returns();
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    // Its events come again as well.
    world.kill("a").await;
    pass(2).await;
    assert_eq!(world.resizes().len(), 2);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("engine"))
        .collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(about[0].contains("does not answer") && about[1].contains("is back"));
}

#[tokio::test(start_paused = true)]
async fn one_that_vanishes_holds_up_nobody() {
    let world = World::new(&[("a", 90, 100), ("b", 90, 100)]);
    world.lock().gone_on_resize.push("crypto-a".to_owned());
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-b", 150)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(
        ended
            .notes
            .iter()
            .any(|note| note.starts_with("a: ended before"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_said_once_and_tried_again() {
    let world = World::new(&[("a", 90, 100)]);
    world.lock().refuses = true;
    let stage = Stage::new(&world, 1000);
    pass(100).await;
    assert!(world.resizes().is_empty());
    world.lock().refuses = false;
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("resized"))
        .collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(about[0].contains("not resized to 150 MiB") && about[1].contains("again"));
    assert_eq!(ended.decisions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_and_does_nothing() {
    let world = World::new(&[("a", 90, 100), ("b", 10, 100)]);
    let stage = Stage::with(&world, 1000, |settings| settings.dry_run = true);
    pass(1).await;
    world.kill("b").await;
    pass(100).await;
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(world.resizes().is_empty());
    let dry = "(dry run: not done)";
    assert!(ended.decisions.iter().all(|line| line.contains(dry)));
    for start in ["a 100 MiB -> 150 MiB ", "b 100 MiB -> 67 MiB "] {
        let said = ended.decisions.iter().any(|line| line.starts_with(start));
        assert!(said, "{start}: {:?}", ended.decisions);
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_what_it_has_begun() {
    let world = World::new(&[("a", 90, 100), ("b", 90, 100)]);
    world.lock().resize_takes = Duration::from_secs(3);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.lock().begun, 1);
    assert!(world.resizes().is_empty());
    let ended = stage.stop().await;
    ended.result.unwrap();
    let done = world.resizes().len();
    let begun = world.lock().begun;
    assert!(begun == done && done > 0, "{begun} {done}");
}

#[tokio::test(start_paused = true)]
async fn once_is_one_round() {
    let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    let ended = stage.end().await;
    ended.result.unwrap();
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    // Also what stays is said.
    assert!(ended.decisions[1].starts_with("b 100 MiB stays: "));
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_it_does_not_begin() {
    let world = World::new(&[]);
    world.goes_away();
    let ended = Stage::new(&world, 1000).end().await;
    let failure = ended.result.unwrap_err();
    assert_eq!(failure.code, Failure::UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let world = World::new(&[("a", 90, 100)]);
    let with_state = |settings: &mut crate::scale::Settings| settings.state = Some(state.clone());
    let stage = Stage::with(&world, 1000, with_state);
    pass(1).await;
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(ended.notes[0].ends_with("not there yet; starts clean"));
    assert_eq!(world.resizes().len(), 1);
    world.uses("a", 140);
    let stage = Stage::with(&world, 1000, with_state);
    pass(31).await;
    // Its cooldown goes on.
    assert_eq!(world.resizes().len(), 1);
    let ended = stage.stop().await;
    assert!(ended.notes[0].ends_with("goes on with what is known of 1 services"));
    std::fs::write(&state, "}").unwrap();
    let stage = Stage::with(&world, 1000, with_state);
    pass(1).await;
    assert_eq!(world.resizes().len(), 2);
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(ended.notes[0].contains("moved to") && ended.notes[0].ends_with("starts clean"));
}
