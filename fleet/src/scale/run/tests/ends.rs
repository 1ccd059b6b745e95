//! How a run ends, and what it leaves.

use std::time::Duration;

use crate::failure::Failure;
use crate::scale::run::tests::fake::{Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn one_round_ends_with_the_worst_of_it() {
    type Set = fn(&World);
    let table: [(u64, u64, Set, Option<u8>); 9] = [
        (90, 1000, |_| {}, None),
        (
            90,
            1000,
            |world| world.lock().refuses = true,
            Some(Failure::REFUSED),
        ),
        (
            50,
            1000,
            |world| world.lock().usage_fails = true,
            Some(Failure::REFUSED),
        ),
        (
            50,
            1000,
            |world| world.lock().sick.push("a".to_owned()),
            Some(Failure::REFUSED),
        ),
        // It vanishes before it grows.
        (
            90,
            1000,
            |world| world.lock().gone_on_resize.push("crypto-a".to_owned()),
            Some(Failure::NO_HOST),
        ),
        // Before the cleanup, or between that and the change.
        (
            20,
            1000,
            |world| world.lock().gone_from_usage = Some(2),
            Some(Failure::NO_HOST),
        ),
        (
            20,
            1000,
            |world| world.lock().gone_on_resize.push("crypto-a".to_owned()),
            Some(Failure::NO_HOST),
        ),
        // Between the change and the second look.
        (
            20,
            1000,
            |world| world.lock().gone_from_usage = Some(3),
            Some(Failure::NO_HOST),
        ),
        // No room on the host.
        (90, 100, |_| {}, Some(Failure::FOUND)),
    ];
    for (used_mib, budget_mib, set, code) in table {
        let world = World::new(&[("a", used_mib, 100)]);
        set(&world);
        let stage = Stage::with(&world, budget_mib, |settings| settings.once = true);
        let ended = stage.end().await;
        assert_eq!(ended.result.err().map(|failure| failure.code), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_a_broken_state_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    std::fs::write(&state, "}").unwrap();
    let world = World::new(&[("a", 90, 100)]);
    let stage = Stage::with(&world, 1000, |settings| {
        settings.dry_run = true;
        settings.state = Some(state.clone());
    });
    pass(40).await;
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(
        ended.notes[0].contains("left as it is"),
        "{:?}",
        ended.notes
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_state_that_is_said() {
    let world = World::new(&[]);
    for (dry_run, times) in [(false, 1), (true, 0)] {
        let stage = Stage::with(&world, 1000, |settings| settings.dry_run = dry_run);
        pass(100).await;
        let ended = stage.stop().await;
        ended.result.unwrap();
        let about = ended.notes.iter().filter(|note| note.contains("--state"));
        assert_eq!(about.count(), times, "{:?}", ended.notes);
    }
}

#[tokio::test(start_paused = true)]
async fn once_is_one_round_also_when_that_takes_longer_than_the_interval() {
    let world = World::new(&[("a", 50, 100)]);
    world.lock().usage_takes = Duration::from_secs(3);
    let stage = Stage::with(&world, 1000, |settings| {
        settings.once = true;
        settings.interval = Duration::from_secs(1);
    });
    let ended = tokio::time::timeout(Duration::from_secs(100), stage.end());
    ended.await.expect("no end").result.unwrap();
    // At the start, and for the round.
    assert_eq!(world.lists(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_vanishes_meanwhile_is_told_of_in_words() {
    type Set = fn(&World);
    let table: [(Set, &str); 3] = [
        (
            |world| world.lock().gone_from_usage = Some(2),
            "a: ended before its limit was changed",
        ),
        (
            |world| world.lock().gone_on_resize.push("crypto-a".to_owned()),
            "a: ended before its limit was changed",
        ),
        (
            |world| world.lock().gone_from_usage = Some(3),
            "a: ended within 2 s after its limit went down to 67 MiB",
        ),
    ];
    for (set, said) in table {
        let world = World::new(&[("a", 20, 100)]);
        set(&world);
        let stage = Stage::new(&world, 1000);
        pass(10).await;
        let ended = stage.stop().await;
        // Only a single round ends with that.
        ended.result.unwrap();
        let notes = ended.notes.iter().filter(|note| note.as_str() == said);
        assert_eq!(notes.count(), 1, "{said}: {:?}", ended.notes);
    }
}
