//! The routes, and what they answer in JSON.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use plimsoll::layers::{MemoryLimitLayer, ShedLayer};
use plimsoll::telemetry::MemoryRoutes;
use plimsoll::{Bound, ByteSize, CleanupReport, HookReport, MemoryLimit, PressureLevel, Usage};
use serde_json::{Value, json};

use crate::service::{Refusal, Service};

const MAX_BODY_BYTES: usize = 8 << 20;
/// A body of that size, what it is decoded into, and some more. What the cache keeps of it is the cache's to answer for.
const REQUEST: MemoryLimit = MemoryLimit::mib(48).named("post /events");

/// The same as for the live page's button. A page of somebody else's can't have a browser send it.
const TOKEN: &str = "x-plimsoll-token";
const NO_TOKEN: &str =
    "start the service with SERVICE_CLEANUP_TOKEN, and send it as x-plimsoll-token";

type Refused = (StatusCode, Json<Value>);

/// With `token`, whoever sends it may clean up; without one nobody may.
pub fn router(service: Arc<Service>, memory: MemoryRoutes, token: Option<String>) -> Router {
    let may_clean = move |headers: &HeaderMap| {
        let sent = headers.get(TOKEN).map(HeaderValue::as_bytes);
        sent.is_some() && sent == token.as_deref().map(str::as_bytes)
    };
    Router::new()
        .route(
            "/events",
            post(post_events).layer(MemoryLimitLayer::new(REQUEST)),
        )
        .route("/usage", get(get_usage))
        .route(
            "/cleanup",
            post(async move |headers: HeaderMap, service| {
                if may_clean(&headers) {
                    post_cleanup(service).await
                } else {
                    Err(refused(StatusCode::FORBIDDEN, NO_TOKEN))
                }
            }),
        )
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || refused(StatusCode::NOT_FOUND, "no such path; see --help"))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(
            // Whoever runs it needs these most when memory is short.
            ShedLayer::from(PressureLevel::High)
                .exempt("/healthz")
                .exempt("/usage")
                .exempt("/cleanup"),
        )
        .with_state(service)
        .merge(memory.into_router())
}

async fn post_events(
    State(service): State<Arc<Service>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refused> {
    let body = body.map_err(|rejection| refused(rejection.status(), rejection.body_text()))?;
    let ingested = service.ingest(&body).map_err(|refusal| match refusal {
        Refusal::Malformed(error) => refused(StatusCode::BAD_REQUEST, error.to_string()),
        Refusal::OverLimit(exceeded) => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the batch passed its memory limit of {}; nothing of it was taken, send it in parts",
                ByteSize::bytes(exceeded.limit_bytes)
            ),
        ),
    })?;
    Ok(Json(json!({
        "accepted": ingested.accepted,
        "duplicates": ingested.duplicates,
    })))
}

async fn get_usage(State(service): State<Arc<Service>>) -> Json<Value> {
    let counts = service.counts();
    Json(json!({
        "memory": usage(&service.manager.usage()),
        "pressure": service.manager.pressure().to_string(),
        "events": {
            "received": counts.received,
            "accepted": counts.cache.accepted,
            "duplicates": counts.cache.duplicates,
            "rejected": counts.rejected,
            "evicted": counts.cache.evicted,
            "held": counts.cache.held,
        },
    }))
}

async fn post_cleanup(State(service): State<Arc<Service>>) -> Result<Json<Value>, Refused> {
    // Waits for the hooks: not on a thread that has other requests to serve.
    match tokio::task::spawn_blocking(move || service.manager.force_cleanup()).await {
        Ok(done) => Ok(Json(report(&done))),
        Err(error) => Err(refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

fn refused(status: StatusCode, reason: impl Into<String>) -> Refused {
    (status, Json(json!({ "error": reason.into() })))
}

fn usage(usage: &Usage) -> Value {
    json!({
        "rss_bytes": usage.rss_bytes,
        "peak_rss_bytes": usage.peak_rss_bytes,
        "used_bytes": usage.used_bytes,
        "limit_bytes": usage.limit.bytes,
        "limit_source": usage.limit.source.to_string(),
        "binding": usage.binding.as_ref().map(bound),
        "percent": usage.percent(),
        "headroom_bytes": usage.headroom_bytes(),
        "heap_active_bytes": usage.heap.map(|heap| heap.active_bytes),
        "heap_allocated_bytes": usage.heap.map(|heap| heap.allocated_bytes),
        "system_available_bytes": usage.system_available_bytes,
    })
}

fn bound(bound: &Bound) -> Value {
    json!({
        "limit_bytes": bound.limit_bytes,
        "used_bytes": bound.used_bytes,
        "source": bound.source.to_string(),
    })
}

fn report(report: &CleanupReport) -> Value {
    json!({
        "text": report.to_string(),
        "outcome": report.outcome.to_string(),
        "reason": report.reason.map(|reason| reason.to_string()),
        "rss_before_bytes": report.before.rss_bytes,
        "rss_after_bytes": report.after.rss_bytes,
        "returned_bytes": report.returned_bytes(),
        "purged": report.purged,
        "thread_cache_bytes": report.thread_cache_bytes,
        "duration_ms": report.duration_ms,
        "hooks": report.hooks.iter().map(hook).collect::<Vec<_>>(),
    })
}

fn hook(hook: &HookReport) -> Value {
    json!({
        "name": hook.name,
        "outcome": hook.outcome.to_string(),
        "estimated_bytes": hook.estimated_bytes,
        "claimed_bytes": hook.claimed_bytes,
        "freed_bytes": hook.freed_bytes,
        "duration_ms": hook.duration_ms,
    })
}
