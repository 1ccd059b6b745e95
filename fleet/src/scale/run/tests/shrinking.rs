//! Limits on their way down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::scale::run::tests::fake::{MIB, Stage, World};
use crate::scale::run::tests::pass;

#[tokio::test(start_paused = true)]
async fn a_limit_goes_down_as_far_as_there_is_room() {
    // The guide would have 67 for each, and both leave room below that.
    for (used_mib, to_mib) in [(10, 67), (29, 67)] {
        let world = World::new(&[("a", used_mib, 100)]);
        let stage = Stage::new(&world, 1000);
        pass(1).await;
        assert_eq!(world.resizes(), [("crypto-a", to_mib)]);
        // The engine need not be asked a second time, which takes Docker a second.
        assert_eq!(world.lock().told_bytes, [Some(used_mib * MIB)]);
        pass(20).await;
        assert_eq!(world.resizes().len(), 1);
        stage.stop().await.result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_used_already_takes_it_back() {
    let world = World::new(&[("a", 20, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 67)]);
    world.uses("a", 67);
    pass(2).await;
    assert_eq!(world.resizes(), [("crypto-a", 67), ("crypto-a", 100)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    let last = ended.decisions.last().unwrap();
    assert!(
        last.contains("-> 100 MiB: taken back: 67 MiB are used"),
        "{last}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_ends_it() {
    let world = World::new(&[("a", 20, 100)]);
    let stage = Stage::new(&world, 1000);
    pass(1).await;
    world.kill("a").await;
    pass(20).await;
    let resizes = world.resizes();
    assert_eq!(resizes.len(), 2, "{resizes:?}");
    assert!(resizes[1].1 > 67, "{resizes:?}");
    stage.stop().await.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_looks_at_what_it_set_a_moment_ago() {
    for (used_mib, left_mib) in [(67, 100), (20, 67)] {
        let world = World::new(&[("a", 20, 100)]);
        let stage = Stage::new(&world, 1000);
        pass(1).await;
        assert_eq!(world.resizes(), [("crypto-a", 67)]);
        world.uses("a", used_mib);
        let ended = stage.stop().await;
        ended.result.unwrap();
        assert_eq!(world.limit("a") / MIB, left_mib);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_gets_it_when_there_is_some() {
    let world = World::new(&[("a", 90, 100), ("b", 10, 100)]);
    let stage = Stage::new(&world, 200);
    pass(5).await;
    // Not before the lower limit has been in force for a moment, and not a whole interval later.
    assert_eq!(world.resizes(), [("crypto-b", 67), ("crypto-a", 133)]);
    let ended = stage.stop().await;
    ended.result.unwrap();
    assert!(
        ended.decisions[0].starts_with("a 100 MiB stays: "),
        "{:?}",
        ended.decisions
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_room_that_may_be_taken_back() {
    let world = World::new(&[("a", 20, 100), ("b", 50, 100)]);
    let stage = Stage::new(&world, 200);
    pass(1).await;
    assert_eq!(world.resizes(), [("crypto-a", 67)]);
    world.kill("b").await;
    world.uses("a", 67);
    pass(5).await;
    assert_eq!(world.resizes()[1], ("crypto-a", 100));
    stage.stop().await.result.unwrap();
    let most_mib = world.lock().most_bytes / MIB;
    assert!(most_mib <= 200, "{most_mib}");
}

/// A service that cleans up when it is asked with the token, and what it was asked. Between cleanups it uses so much.
async fn service(
    world: &World,
    claims_mib: u64,
    used_mib: u64,
    used_after_mib: u64,
    high_ratio: f64,
) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    world.lock().metrics_url = Some(format!("http://{address}/metrics"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, world) = (Arc::clone(&asked), world.clone());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let limit_mib = world.limit("a") / MIB;
            let line = request.lines().next().unwrap();
            seen.lock().unwrap().push(format!("{line} at {limit_mib}"));
            let claims = claims_mib * MIB;
            let mut body = format!(
                "plimsoll_reclaimable_bytes{{hook=\"cache\"}} {claims}\n\
                 plimsoll_level_begins_ratio{{level=\"high\"}} {high_ratio}\n"
            );
            world.uses("a", used_mib);
            if line.starts_with("POST") {
                assert!(request.contains("x-plimsoll-token: sixteen-letters!"));
                world.uses("a", used_after_mib);
                body = "done\n".to_owned();
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    asked
}

// Real sockets need a real clock: a clock that stands still until all wait runs past their timeouts.
#[tokio::test]
async fn a_cleanup_is_asked_for_before_the_limit_goes_down() {
    let world = World::new(&[("a", 20, 100)]);
    let asked = service(&world, 10, 20, 10, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    stage.end().await.result.unwrap();
    assert_eq!(world.resizes(), [("crypto-a", 67)]);
    let expected = [
        "GET /metrics HTTP/1.1 at 100",
        "POST /memory/cleanup HTTP/1.1 at 100",
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn without_room_after_the_cleanup_the_limit_stays() {
    let world = World::new(&[("a", 20, 100)]);
    let asked = service(&world, 10, 20, 95, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    let ended = stage.end().await;
    ended.result.unwrap();
    assert!(world.resizes().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 2);
    let last = ended.decisions.last().unwrap();
    assert!(
        last.starts_with("a 100 MiB stays: after a cleanup 95 MiB are used"),
        "{last}"
    );
}

#[tokio::test]
async fn the_limit_leaves_room_above_what_the_cleanup_left() {
    let world = World::new(&[("a", 20, 100)]);
    service(&world, 10, 20, 80, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    stage.end().await.result.unwrap();
    assert_eq!(world.resizes(), [("crypto-a", 85)]);
}

#[tokio::test]
async fn what_the_cleanup_left_stays_below_the_line_where_work_is_refused() {
    // With the room that every change leaves, 60 fit into 67 and 80 into 85.
    for (used_after_mib, left_mib) in [(60, 75), (80, 100)] {
        let world = World::new(&[("a", 20, 100)]);
        service(&world, 10, 20, used_after_mib, 0.8).await;
        let stage = Stage::with(&world, 1000, |settings| settings.once = true);
        stage.end().await.result.unwrap();
        assert_eq!(world.limit("a") / MIB, left_mib);
    }
}

#[tokio::test]
async fn a_claim_above_what_is_used_is_not_believed() {
    let world = World::new(&[("a", 45, 100)]);
    service(&world, 80, 45, 45, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| settings.once = true);
    let ended = stage.end().await;
    ended.result.unwrap();
    let said = "a: claims that it could free 80 MiB and uses 45 MiB: not believed";
    assert!(
        ended.notes.iter().any(|note| note == said),
        "{:?}",
        ended.notes
    );
}

#[tokio::test]
async fn a_service_that_lies_is_told_of_once() {
    let world = World::new(&[("a", 45, 100)]);
    let asked = service(&world, 80, 45, 45, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| {
        settings.interval = Duration::from_millis(50);
    });
    while asked.lock().unwrap().len() < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ended = stage.stop().await;
    ended.result.unwrap();
    let about = ended.notes.iter().filter(|note| note.starts_with("a: "));
    assert_eq!(about.count(), 1, "{:?}", ended.notes);
}

#[tokio::test]
async fn a_cleanup_in_vain_is_not_asked_for_again_and_again() {
    let world = World::new(&[("a", 20, 100)]);
    let asked = service(&world, 10, 20, 95, 1.0).await;
    let stage = Stage::with(&world, 1000, |settings| {
        settings.interval = Duration::from_millis(100);
    });
    let scrapes = |all: &[String]| all.iter().filter(|one| one.starts_with("GET")).count();
    while scrapes(&asked.lock().unwrap()) < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.stop().await.result.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len() - scrapes(&asked), 1, "{asked:?}");
}
