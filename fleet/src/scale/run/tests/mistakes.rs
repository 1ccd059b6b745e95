//! A mistake of this program in one reading ends neither the round nor the rounds.

use crate::failure::Failure;
use crate::scale::run::tests::fake::{Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn a_reading_that_panics_is_unknown_and_holds_up_nobody() {
    let world = World::new(&[("a", 50, 100), ("b", 90, 100)]);
    world.lock().panicking.push("a".to_owned());
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-b", 150)]);
    world.lock().panicking.clear();
    world.uses("a", 90);
    pass(31).await;
    assert_eq!(world.resizes()[1..], [("crypto-a", 150)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let unknown = "crypto-a: its usage is unknown";
    assert!(
        ended.notes.iter().any(|note| note.starts_with(unknown)),
        "{:?}",
        ended.notes
    );
}

#[tokio::test(start_paused = true)]
async fn a_round_that_panics_is_a_failed_one() {
    let world = World::new(&[("a", 50, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.lock().list_panics = true;
    pass(60).await;
    world.lock().list_panics = false;
    world.uses("a", 90);
    pass(61).await;
    assert_eq!(world.resizes(), [("crypto-a", 150)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about = ended.notes.iter().filter(|note| note.contains("mistake"));
    assert_eq!(about.count(), 1, "{:?}", ended.notes);
}

#[tokio::test(start_paused = true)]
async fn a_single_round_that_panics_fails() {
    let world = World::new(&[("a", 50, 100)]);
    world.lock().panicking.push("a".to_owned());
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    let failure = stage.end().await.result.unwrap_err();
    assert_eq!(failure.code, Failure::REFUSED);
}
