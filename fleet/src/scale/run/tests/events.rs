//! What the engine tells, and when.

use std::time::Duration;

use crate::engine::{Happening, now_ns};
use crate::scale::Settings;
use crate::scale::run::listen_from;
use crate::scale::run::tests::fake::{MIB, Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn a_kill_that_is_told_again_later_is_the_same() {
    let world = World::new(&[("a", 40, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(10).await;
    let at_ns = now_ns();
    world.tell("a", Happening::OomKill, at_ns).await;
    pass(5).await;
    assert_eq!(world.resizes().len(), 1);
    world.tell("a", Happening::OomKill, at_ns + 1000).await;
    pass(5).await;
    assert_eq!(world.resizes().len(), 1);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_kill_belongs_to_the_limit_that_was_in_force() {
    // It has grown since: that was the answer.
    let before_ns = now_ns() - 5_000_000_000;
    let world = World::new(&[("a", 90, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    world.tell("a", Happening::OomKill, before_ns).await;
    pass(5).await;
    assert_eq!(world.resizes().len(), 1);
    let ended = stage.stop().await;
    let said = "a: the kernel killed it for memory at 100 MiB";
    assert!(
        ended.notes.iter().any(|note| note == said),
        "{:?}",
        ended.notes
    );

    // It has shrunk since: more than the old limit is needed, not more than the new one.
    let before_ns = now_ns() - 5_000_000_000;
    let world = World::new(&[("a", 20, 400)]);
    let stage = Stage::new(&world, 1000);
    pass(10).await;
    let shrunk = world.resizes();
    assert!(shrunk[0].1 < 300, "{shrunk:?}");
    world.tell("a", Happening::OomKill, before_ns).await;
    pass(5).await;
    assert!(world.limit("a") > 400 * MIB, "{:?}", world.resizes());
    let ended = stage.stop().await;
    let said = "a: the kernel killed it for memory at 400 MiB";
    assert!(
        ended.notes.iter().any(|note| note == said),
        "{:?}",
        ended.notes
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_can_t_be_asked_about_is_kept() {
    let world = World::new(&[]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.starts("b", 10, 100);
    world.lock().list_fails = true;
    world.kill("b").await;
    pass(1).await;
    assert!(world.resizes().is_empty());
    world.lock().list_fails = false;
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-b", 150)]);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_kill_does_not_wait_for_all_that_is_planned() {
    let world = World::new(&[("a", 90, 100), ("b", 90, 100), ("c", 50, 100)]);
    world.lock().resize_takes = Duration::from_secs(3);
    // Room for the first two, or for one of them and for more of the third.
    let stage = Stage::new(&world, 420);
    pass(1).await;
    assert_eq!(world.lock().begun, 1);
    world.kill("c").await;
    pass(20).await;
    let order: Vec<_> = world.resizes().into_iter().map(|(id, _)| id).collect();
    assert_eq!(order[..2], ["crypto-a", "crypto-c"], "{order:?}");
    stage.stop().await.result.unwrap();
    let most_mib = world.lock().most_bytes / MIB;
    assert!(most_mib <= 420, "{most_mib}");
}

#[tokio::test(start_paused = true)]
async fn the_next_run_listens_from_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let world = World::new(&[("a", 40, 100)]);
    let with_state = |settings: &mut Settings| settings.state = Some(state.clone());
    let began_ns = now_ns();
    let stage = Stage::with(&world, 1000, with_state);
    pass(10).await;
    // Under a clock that stands still a reading is off by as long as it takes.
    assert!(world.lock().listened_from_ns >= began_ns - 1_000_000_000);
    let at_ns = now_ns();
    world.tell("a", Happening::OomKill, at_ns).await;
    pass(10).await;
    world.tell("a", Happening::Started, at_ns + 7).await;
    pass(10).await;
    stage.stop().await.result.unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    assert_eq!(kept["last_event_ns"], at_ns + 7);
    // It was told that this is a new process.
    let since_s = &kept["services"]["a"]["running_in_since_s"];
    assert!(since_s.is_u64(), "{since_s}");
    pass(100).await;
    let stage = Stage::with(&world, 1000, with_state);
    pass(1).await;
    assert_eq!(world.lock().listened_from_ns, at_ns + 7);
    stage.stop().await.result.unwrap();
}

#[test]
fn what_was_missed_is_asked_for_but_not_for_ever() {
    const DAY_NS: u64 = 86_400 * 1_000_000_000;
    let now_ns = 100 * DAY_NS;
    let table = [
        (0, now_ns),
        (now_ns - 1, now_ns - 1),
        (DAY_NS, now_ns - DAY_NS),
        // The clock was set back.
        (now_ns + 1, now_ns),
    ];
    for (last_ns, from_ns) in table {
        assert_eq!(listen_from(last_ns, now_ns), from_ns);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sick_is_told_of_once_and_holds_up_nobody() {
    let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
    let stage = Stage::new(&world, 220);
    pass(1).await;
    world.uses("a", 119);
    world.lock().sick.push("b".to_owned());
    pass(300).await;
    world.lock().sick.clear();
    pass(31).await;
    let ended = stage.stop().await;
    ended.result.unwrap();
    // It still holds its part.
    assert!(world.lock().most_bytes <= 220 * MIB);
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("left out"))
        .collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(
        about[0].contains("crypto-b") && about[0].contains("no pulse"),
        "{about:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_answered_after_the_clock_was_set_back() {
    const HOUR_S: u64 = 3600;
    const NS: u64 = 1_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    // The scaler's own clock never goes back, the engine's does. When the limit was changed last by the engine's, when the kill was, and
    // whether it belongs to the limit that is in force: then it is answered.
    let (ahead_ns, now) = (HOUR_S * NS, now_ns());
    let table = [
        (now + ahead_ns, now, true),
        (now - 10 * NS, now, true),
        (now - 10 * NS, now - 20 * NS, false),
    ];
    for (changed_ns, killed_ns, is_answered) in table {
        let world = World::new(&[("a", 60, 150)]);
        let at_s = now / NS + HOUR_S;
        let state = serde_json::json!({
            "version": 1, "saved_at_s": at_s, "last_event_ns": now - 30 * NS, "services": {},
            "changes": {"a": {"at_s": at_s, "at_ns": changed_ns, "from_bytes": 100 * MIB, "to_bytes": 150 * MIB}},
        });
        std::fs::write(&path, state.to_string()).unwrap();
        let stage = Stage::with(&world, 1000, |settings| settings.state = Some(path.clone()));
        pass(1).await;
        world.tell("a", Happening::OomKill, killed_ns).await;
        pass(5).await;
        let has_grown = world.limit("a") > 150 * MIB;
        assert_eq!(has_grown, is_answered, "{changed_ns} {killed_ns}");
        stage.stop().await.result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_may_not_be_read_are_told_of_once_and_are_no_engine_that_is_away() {
    let world = World::new(&[("a", 50, 100)]);
    world.lock().cant_watch = true;
    let stage = Stage::new(&world, 1000);
    pass(100).await;
    world.lock().cant_watch = false;
    pass(2).await;
    world.kill("a").await;
    pass(2).await;
    assert_eq!(world.resizes().len(), 1);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("engine") || note.contains("kills"))
        .collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(about[0].contains("kills for memory are not seen") && about[0].contains("no events"));
    assert!(about[1].contains("kills for memory are seen again"));
}
