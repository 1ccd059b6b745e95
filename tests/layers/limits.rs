//! A request over its limit, and its neighbours.

use plimsoll::layers::{Refusal, refused_total};

use crate::app::{LARGE, OTHERS};
use crate::client::{Client, Outcome, block_on};
use crate::level::{held_bytes, memory_is_back, one_at_a_time};
use crate::server::{Kind, Server};

#[test]
fn a_request_over_its_limit_is_stopped_and_its_connection_goes_on() {
    let _one = one_at_a_time();
    for kind in Kind::ALL {
        block_on(async {
            let server = Server::start(kind).await;
            let mut client = Client::connect(&server).await;
            assert_eq!(client.ask("/small").await, Outcome::Served);
            let before = (held_bytes(), refused_total(Refusal::Exceeded));
            let crossings = (LARGE.exceeded_total(), OTHERS.exceeded_total());

            let outcome = client.ask("/large").await;
            assert_eq!(outcome, kind.refused_as(Refusal::Exceeded), "{kind:?}");
            memory_is_back(before.0);
            assert_eq!(server.app.running(), 0);
            assert_eq!(refused_total(Refusal::Exceeded), before.1 + 1);
            assert_eq!(LARGE.exceeded_total(), crossings.0 + 1);

            // On the same connection.
            assert_eq!(client.ask("/held").await, Outcome::Served, "{kind:?}");
            assert_eq!(OTHERS.exceeded_total(), crossings.1);
            assert_eq!(server.app.reached(), 3);
        });
    }
}

#[test]
fn a_body_that_the_service_copies_counts_and_so_does_one_that_it_answers_with() {
    let _one = one_at_a_time();
    for kind in Kind::ALL {
        block_on(async {
            let server = Server::start(kind).await;
            let mut client = Client::connect(&server).await;
            let within = vec![b'x'; 512 << 10];
            let (outcome, length) = client.send("/length", within.clone()).await;
            assert_eq!((outcome, &*length), (Outcome::Served, &b"524288"[..]));
            assert!(server.app.frames() > 0);

            let exceeded = kind.refused_as(Refusal::Exceeded);
            let over = vec![b'x'; 4 << 20];
            assert_eq!(client.send("/length", over).await.0, exceeded, "{kind:?}");
            assert_eq!(client.ask("/answer").await, exceeded, "{kind:?}");
            let (outcome, length) = client.send("/length", within).await;
            assert_eq!((outcome, &*length), (Outcome::Served, &b"524288"[..]));
        });
    }
}
