//! What all objects have: kind, name and labels.

use serde::Serialize;
use serde_yaml_ng::Mapping;

use crate::write::yaml::map;

/// The label by which the fleet is told from others.
pub(super) const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "crypto");
/// The label by which its services are told from each other.
pub(super) const NAME: &str = "app.kubernetes.io/name";

/// An object with what is particular to its kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    #[serde(flatten)]
    content: S,
}

#[derive(Serialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) labels: Mapping,
    #[serde(skip_serializing_if = "Mapping::is_empty")]
    pub(super) annotations: Mapping,
}

/// What most kinds have beside their metadata.
#[derive(Serialize)]
pub(super) struct Spec<S> {
    pub(super) spec: S,
}

impl<S: Serialize> Object<S> {
    /// `of` is the service that it is for, or `None` for the whole fleet.
    pub(super) fn new(
        (api_version, kind): (&'static str, &'static str),
        name: impl Into<String>,
        of: Option<&str>,
        content: S,
    ) -> Object<S> {
        Object {
            api_version,
            kind,
            metadata: Metadata {
                name: Some(name.into()),
                labels: labels(of),
                annotations: Mapping::new(),
            },
            content,
        }
    }

    pub(super) fn annotate(mut self, name: &str, value: String) -> Object<S> {
        self.metadata.annotations.insert(name.into(), value.into());
        self
    }
}

pub(super) fn labels(of: Option<&str>) -> Mapping {
    let name = of.map(|name| (NAME, name));
    map(name.into_iter().chain([PART_OF]))
}

/// Kubernetes puts a variable in the place of `$(NAME)`.
pub(super) fn escaped(text: &str) -> String {
    text.replace("$(", "$$(")
}
