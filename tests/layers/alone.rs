//! The layers around services of a few lines, without a server.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use plimsoll::layers::{MemoryLimitLayer, Refusal, ShedLayer, refused_total};
use plimsoll::{MemoryLimit, OnExceed, PressureLevel, ScopeHandle, Site};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::level::{manager, one_at_a_time};

const MIB: usize = 1 << 20;

type Answer = Response<Full<Bytes>>;

fn served() -> Ready<Result<Answer, Infallible>> {
    ready(Ok(Answer::default()))
}

fn status<S>(service: S) -> StatusCode
where
    S: Service<Request<()>, Response = Answer, Error = Infallible>,
{
    let Ok(answer) = block_on(service.oneshot(Request::new(())));
    answer.status()
}

#[test]
fn what_the_call_itself_does_counts() {
    let _one = one_at_a_time();
    static SITE: Site = Site::new("in the call");
    let layer = MemoryLimitLayer::new(MemoryLimit::mib(1).at(&SITE));
    let service = |bytes: usize| {
        layer.layer(service_fn(move |_: Request<()>| {
            let kept = vec![1u8; bytes];
            async move {
                assert!(kept.len() < 2 * MIB, "polled past its limit");
                served().await
            }
        }))
    };
    assert_eq!(status(service(2 * MIB)), 503);
    assert_eq!(SITE.exceeded_total(), 1);
    assert_eq!(status(service(MIB / 2)), 200);
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn a_call_that_panics_leaves_its_scope() {
    let _one = one_at_a_time();
    static SITE: Site = Site::new("panics in the call");
    let panics = |now: bool| {
        let layer = MemoryLimitLayer::new(MemoryLimit::mib(1).at(&SITE));
        layer.layer(service_fn(move |_: Request<()>| {
            assert!(!now, "as it was told");
            served()
        }))
    };
    let calls = || {
        let mut scopes = manager().scopes().into_iter();
        scopes
            .find(|scopes| scopes.site == Some(&SITE))
            .unwrap()
            .calls_total
    };
    assert_eq!(status(panics(false)), 200);
    assert_eq!(calls(), 1);
    assert!(catch_unwind(AssertUnwindSafe(|| status(panics(true)))).is_err());
    assert_eq!(calls(), 2);
    assert!(ScopeHandle::current().is_none(), "no frame stays");
    assert_eq!(status(panics(false)), 200);
    assert_eq!(calls(), 3);
}

#[test]
fn a_limit_that_only_counts_stops_nothing() {
    let _one = one_at_a_time();
    static SITE: Site = Site::new("in the shadow");
    let refused = refused_total(Refusal::Exceeded);
    for (n, on_exceed) in [OnExceed::Shadow, OnExceed::Warn].into_iter().enumerate() {
        let limit = MemoryLimit::mib(1).at(&SITE).on_exceed(on_exceed);
        let service = MemoryLimitLayer::new(limit).layer(service_fn(|_: Request<()>| async {
            drop(std::hint::black_box(vec![1u8; 2 * MIB]));
            served().await
        }));
        assert_eq!(status(service), 200);
        assert_eq!(SITE.exceeded_total(), n as u64 + 1);
    }
    assert_eq!(refused_total(Refusal::Exceeded), refused);
}

#[test]
fn without_a_name_the_site_is_where_the_layer_was_made() {
    let _one = one_at_a_time();
    let layer = MemoryLimitLayer::new(MemoryLimit::mib(1));
    let line = line!() - 1;
    assert_eq!(
        status(layer.layer(service_fn(|_: Request<()>| served()))),
        200
    );
    let is_here =
        |site: &'static Site| site.location().file() == file!() && site.location().line() == line;
    let scopes = manager().scopes();
    assert!(scopes.iter().any(|scopes| scopes.site.is_some_and(is_here)));
}

/// Is ready at the second time of asking, and says so if it is called before.
#[derive(Default)]
struct Reluctant {
    asked: u32,
}

impl Service<Request<()>> for Reluctant {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked += 1;
        if self.asked < 2 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(self.asked >= 2, "called before it was ready");
        self.asked = 0;
        served()
    }
}

#[test]
fn a_service_is_called_when_it_is_ready_and_the_one_that_was_asked() {
    let _one = one_at_a_time();
    // Neither needs a service that can be cloned.
    let limit = MemoryLimitLayer::new(MemoryLimit::mib(1).named("reluctant"));
    let mut service = ShedLayer::from(PressureLevel::High).layer(limit.layer(Reluctant::default()));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(service.poll_ready(&mut context).is_pending());
        assert!(service.poll_ready(&mut context).is_ready());
        let Ok(answer) = block_on(service.call(Request::new(())));
        assert_eq!(answer.status(), 200);
    }
    block_on(poll_fn(|context| service.poll_ready(context))).unwrap();
}

#[test]
fn a_request_that_is_served_costs_no_allocation() {
    let _one = one_at_a_time();
    let allocated = || tikv_jemalloc_ctl::thread::allocatedp::read().unwrap().get();
    let limit = MemoryLimitLayer::new(MemoryLimit::mib(1).named("allocates nothing"));
    let shed = ShedLayer::from(PressureLevel::High).exempt("/health");
    let mut service = shed.layer(limit.layer(service_fn(|_: Request<()>| served())));
    let mut context = Context::from_waker(Waker::noop());
    let mut serve = || {
        let answer = pin!(service.call(Request::new(())));
        assert!(answer.poll(&mut context).is_ready());
    };
    serve();
    let before = allocated();
    (0..1000).for_each(|_| serve());
    assert_eq!(allocated() - before, 0);
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(allocated() - before >= 100, "the counter counts");
}
