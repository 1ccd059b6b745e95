//! [`serve`]: the scaler's own `/metrics`.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use plimsoll::telemetry::prometheus;
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::scale::figures::Figures;

/// From now on, as long as the runtime lives. Gives back where: port 0 is any that is free.
pub(super) async fn serve(address: SocketAddr, figures: Figures) -> Result<SocketAddr, Failure> {
    let cant = |error: std::io::Error| {
        Failure::new(
            Failure::UNAVAILABLE,
            format!(
                "{address}: can't serve metrics there: {error}; name another port by --metrics"
            ),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(cant)?;
    let bound = listener.local_addr().map_err(cant)?;
    let answer = async move || ([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], figures.text());
    let router = Router::new().route("/metrics", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(bound)
}
