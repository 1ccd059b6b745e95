//! Others change limits too, and a reading grows old.

use std::time::Duration;

use crate::scale::run::tests::fake::{MIB, Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_kill_does_not_lower_what_an_operator_gave() {
    let world = World::new(&[("a", 40, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(5).await;
    world.is_given("a", 400);
    pass(1).await;
    world.kill("a").await;
    pass(5).await;
    // It was killed at 400.
    assert!(world.limit("a") > 400 * MIB, "{:?}", world.resizes());
    assert_eq!(world.resizes().len(), 1);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let said = ended.notes.iter().any(|note| note.contains("400 MiB"));
    assert!(said, "{:?}", ended.notes);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_an_operator_gave_more_is_decided_anew() {
    let world = World::new(&[("a", 90, 100), ("b", 90, 100)]);
    world.lock().resize_takes = Duration::from_secs(3);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.lock().begun, 1);
    world.is_given("b", 160);
    pass(10).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    assert_eq!(world.limit("b") / MIB, 160);
    // With what is in force then.
    world.uses("b", 140);
    pass(30).await;
    assert_eq!(world.resizes()[1..], [("crypto-b", 240)]);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_its_way_down_does_not_raise_what_an_operator_lowered() {
    let world = World::new(&[("a", 90, 100), ("b", 10, 100)]);
    world.lock().resize_takes = Duration::from_secs(3);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.is_given("b", 50);
    pass(10).await;
    assert_eq!(world.limit("b") / MIB, 50, "{:?}", world.resizes());
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_has_waited_is_not_told_to_the_engine() {
    let world = World::new(&[("a", 20, 100), ("b", 20, 100)]);
    world.lock().resize_takes = Duration::from_secs(3);
    let stage = Stage::new(&world, 1000);
    pass(10).await;
    // Both were read at once, and the second waited for the first.
    assert_eq!(world.resizes().len(), 2);
    assert_eq!(world.lock().told_bytes, [Some(20 * MIB), None]);
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_has_another_limit_than_the_kernel_overtakes_nobody() {
    let world = World::new(&[("a", 90, 400)]);
    world.lock().in_kernel.insert("a".to_owned(), 100 * MIB);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    stage.stop().await.result.unwrap();
}
