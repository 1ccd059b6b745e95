//! [`Deploy`]: what starts a service, besides its sizes.

/// What starts a service, besides its sizes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// The image's own when empty.
    pub command: Vec<String>,
    /// A program in the container that ends with 0 when the service is well; none when empty.
    pub health: Vec<String>,
    /// The profile's variables and the service's own, which win. In order of their names.
    pub environment: Vec<(String, String)>,
    /// Started with the monitoring only, as Prometheus and Grafana are.
    pub monitoring: bool,
}
