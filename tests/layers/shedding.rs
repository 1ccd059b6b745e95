//! Requests while memory is short.

use plimsoll::layers::{Refusal, refused_total};

use crate::client::{Client, Outcome, block_on};
use crate::level::{falls, one_at_a_time, rises};
use crate::server::{Kind, Server};

#[test]
fn at_a_level_requests_are_refused_unread_but_for_what_is_exempt() {
    let _one = one_at_a_time();
    for kind in Kind::ALL {
        block_on(async {
            let server = Server::start(kind).await;
            let mut client = Client::connect(&server).await;
            assert_eq!(client.ask("/small").await, Outcome::Served);
            let before = Refusal::ALL.iter().map(|&reason| refused_total(reason));
            let before: Vec<u64> = before.collect();
            let (reached, frames) = (server.app.reached(), server.app.frames());

            let held = rises();
            let shed = kind.refused_as(Refusal::Shed);
            for path in ["/small", "/large", "/length", "/healthy"] {
                assert_eq!(client.ask(path).await, shed, "{kind:?} {path}");
            }
            assert_eq!(refused_total(Refusal::Shed), before[0] + 4);
            assert_eq!(refused_total(Refusal::Exceeded), before[1]);
            assert_eq!(
                (server.app.reached(), server.app.frames()),
                (reached, frames)
            );
            for path in ["/health", "/health/live"] {
                assert_eq!(client.ask(path).await, Outcome::Served, "{kind:?} {path}");
            }
            assert_eq!(server.app.reached(), reached + 2);

            drop(held);
            falls();
            // On the same connection.
            assert_eq!(client.ask("/small").await, Outcome::Served, "{kind:?}");
            assert_eq!(refused_total(Refusal::Shed), before[0] + 4);
        });
    }
}

#[test]
fn a_stream_whose_body_comes_too_late_to_be_read_ends_and_the_others_go_on() {
    let _one = one_at_a_time();
    block_on(async {
        let server = Server::start(Kind::Grpc).await;
        let mut client = Client::connect(&server).await;
        let held = rises();
        let shed = Kind::Grpc.refused_as(Refusal::Shed);
        for _ in 0..8 {
            // Far more than the windows of stream and connection let through unread.
            let body = vec![b'x'; 4 << 20];
            assert_eq!(client.send("/length", body).await.0, shed);
        }
        assert_eq!((server.app.reached(), server.app.frames()), (0, 0));
        drop(held);
        falls();
        let (outcome, length) = client.send("/length", "four").await;
        assert_eq!((outcome, &*length), (Outcome::Served, &b"4"[..]));
    });
}
