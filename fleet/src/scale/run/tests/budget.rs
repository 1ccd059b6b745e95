//! What the host has, and who holds it.

use std::time::Duration;

use crate::scale::run::tests::fake::{MIB, Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn the_host_s_budget_is_never_exceeded() {
    // A small generator, so that each run is the same.
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..20 {
        let world = World::new(&[("a", 90, 100), ("b", 50, 100), ("c", 50, 100)]);
        let budget_mib = 300 + next(300);
        let stage = Stage::new(&world, budget_mib);
        for _ in 0..30 {
            let service = ["a", "b", "c"][next(3) as usize];
            if next(4) == 0 {
                world.kill(service).await;
            } else {
                let limit_mib = world.limit(service) / MIB;
                world.uses(service, next(limit_mib));
            }
            pass(next(60)).await;
        }
        stage.stop().await.result.unwrap();
        assert!(!world.resizes().is_empty());
        let most_mib = world.lock().most_bytes / MIB;
        assert!(most_mib <= budget_mib, "{most_mib} of {budget_mib}");
    }
}

#[tokio::test(start_paused = true)]
async fn others_on_the_host_are_counted() {
    let world = World::new(&[("a", 90, 100), ("stranger", 0, 500)]);
    let stage = Stage::new(&world, 620);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 120)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(
        ended
            .notes
            .iter()
            .any(|note| note.contains("500 MiB: 120 MiB of the budget"))
    );
    assert!(
        ended.notes.iter().any(|note| note.contains("ALERT a")),
        "{:?}",
        ended.notes
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_restart_holds_its_room() {
    let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
    world.lock().restarting.push("b".to_owned());
    let stage = Stage::new(&world, 200);
    pass(100).await;
    assert!(world.resizes().is_empty(), "{:?}", world.resizes());
    // It is the list that says who is gone.
    world.lock().services.remove("b");
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn more_than_the_budget_is_said_once_and_its_end_too() {
    let world = World::new(&[("a", 50, 100), ("b", 50, 100)]);
    let stage = Stage::new(&world, 150);
    pass(100).await;
    world.lock().services.remove("b");
    pass(31).await;
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("all limits together"))
        .collect();
    assert_eq!(about.len(), 2, "{:?}", ended.notes);
    assert!(
        about[0].contains("200 MiB") && about[0].contains("above the budget of 150 MiB"),
        "{about:?}"
    );
    assert!(about[1].contains("within the budget"), "{about:?}");
}

#[tokio::test(start_paused = true)]
async fn another_that_is_left_out_is_counted_as_it_was() {
    let world = World::new(&[("a", 50, 100), ("stranger", 0, 500)]);
    let stage = Stage::new(&world, 620);
    pass(1).await;
    world.lock().sick.push("stranger".to_owned());
    world.uses("a", 90);
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-a", 120)]);
    // It ended: the list of who is left out has it no more.
    world.lock().sick.clear();
    world.lock().services.remove("stranger");
    world.uses("a", 110);
    pass(130).await;
    assert_eq!(world.resizes()[1..], [("crypto-a", 180)]);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_grows_while_a_limit_was_never_seen() {
    let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
    world.lock().sick.push("b".to_owned());
    let stage = Stage::new(&world, 220);
    pass(1).await;
    world.kill("a").await;
    pass(60).await;
    assert!(world.resizes().is_empty(), "{:?}", world.resizes());
    world.lock().sick.clear();
    pass(31).await;
    assert_eq!(world.resizes(), [("crypto-a", 120)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about: Vec<_> = ended
        .notes
        .iter()
        .filter(|note| note.contains("nothing grows"))
        .collect();
    assert!(
        about.len() == 1 && about[0].contains("crypto-b"),
        "{about:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_no_limit_holds_what_it_uses() {
    // One of the profile's, and another.
    for unlimited in ["b", "stranger"] {
        let world = World::new(&[("a", 90, 100), (unlimited, 50, 1)]);
        world.lock().unlimited.push(unlimited.to_owned());
        let stage = Stage::new(&world, 180);
        pass(1).await;
        assert_eq!(world.resizes(), [("crypto-a", 130)], "{unlimited}");
        stage.stop().await.result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_grows_while_the_use_of_one_without_a_limit_was_never_seen() {
    // One of the profile's, and another.
    for unlimited in ["b", "stranger"] {
        let world = World::new(&[("a", 90, 100), (unlimited, 50, 1)]);
        world.lock().unlimited.push(unlimited.to_owned());
        world.lock().restarting.push(unlimited.to_owned());
        let stage = Stage::new(&world, 180);
        pass(1).await;
        assert_eq!(world.resizes(), [], "{unlimited}");
        world.lock().restarting.clear();
        pass(30).await;
        assert_eq!(world.resizes(), [("crypto-a", 130)], "{unlimited}");
        let ended = stage.stop().await;
        ended.result.unwrap();
        let said = |note: &String| note.contains("its use, without a limit, was never seen");
        assert_eq!(ended.notes.iter().any(said), unlimited == "stranger");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_smaller_than_the_profile_s_gives_what_it_has() {
    // The profile is for 4 GB, of which 136 MB are kept.
    for (host_mib, to_mib) in [(4096, 150), (3900, 150), (350, 114), (200, 100)] {
        let world = World::new(&[("a", 90, 100), ("b", 50, 100)]);
        world.lock().host_bytes = Some(host_mib * MIB);
        let stage = Stage::new(&world, 3960);
        pass(1).await;
        assert_eq!(world.limit("a") / MIB, to_mib, "{host_mib}");
        let ended = stage.stop().await;
        ended.result.unwrap();
        let said = ended.notes.iter().any(|note| {
            let parts = ["warning: this host has", "the profile test is for 4 GiB"];
            parts.iter().all(|part| note.contains(part))
        });
        assert_eq!(said, host_mib < 3000, "{:?}", ended.notes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_the_first_round_waits_until_it_is_known_who_else_is_there() {
    let world = World::new(&[("a", 40, 100), ("stranger", 0, 500)]);
    world.lock().usage_takes = Duration::from_secs(1);
    let stage = Stage::new(&world, 610);
    world.kill("a").await;
    pass(3).await;
    assert_eq!(world.resizes(), [("crypto-a", 110)]);
    stage.stop().await.result.unwrap();
}
