//! Images and volumes that no container uses. They are reported, never removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptions, ListVolumesOptionsBuilder};

use crate::doctor::containers::Facts;
use crate::doctor::disk;
use crate::doctor::finding::{Code, Finding, Severity};
use crate::engine::{Docker, EngineError};
use crate::size;

/// So many are named in the table; the command names all.
const NAMED: usize = 5;

/// Something on the engine's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What a command takes: an image with several tags goes with all of them.
    pub names: Vec<String>,
    /// `None`: the engine does not say.
    pub bytes: Option<u64>,
}

/// What the engine stores and no container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unused {
    pub images: Vec<Stored>,
    pub volumes: Vec<Stored>,
}

/// One finding for the images and one for the volumes.
pub fn examine(unused: &Unused) -> Vec<Finding> {
    let images = (
        "engine's images",
        "image",
        Code::UnusedImages,
        &unused.images,
    );
    let volumes = (
        "engine's volumes",
        "volume",
        Code::UnusedVolumes,
        &unused.volumes,
    );
    let kinds = [images, volumes].into_iter();
    kinds
        .filter(|(.., stored)| !stored.is_empty())
        .map(|(place, noun, code, stored)| finding(place, noun, code, stored))
        .collect()
}

fn finding(place: &str, noun: &str, code: Code, stored: &[Stored]) -> Finding {
    let mut stored: Vec<&Stored> = stored.iter().collect();
    stored.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.names.cmp(&b.names)));
    let known: Vec<u64> = stored.iter().filter_map(|one| one.bytes).collect();
    let sum_bytes = known
        .iter()
        .fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    let named: Vec<String> = stored.iter().take(NAMED).map(|one| label(one)).collect();
    let mut what = match stored.len() {
        1 => format!("1 {noun} that no container uses: "),
        count => format!(
            "{count} {noun}s that no container uses, {} together: ",
            size::human(sum_bytes)
        ),
    };
    what += &named.join(", ");
    if stored.len() > NAMED {
        what += &format!(" and {} more", stored.len() - NAMED);
    }
    let names = stored.iter().flat_map(|one| &one.names);
    let names: Vec<&str> = names.map(String::as_str).collect();
    let todo = format!("docker {noun} rm {}", names.join(" "));
    let mut found = Finding::new(Severity::Note, code, place, what, todo);
    found.count = Some(stored.len() as u64);
    found.bytes = (!known.is_empty()).then_some(sum_bytes);
    found
}

fn label(stored: &Stored) -> String {
    let name = stored.names.join(" = ");
    match stored.bytes {
        Some(bytes) => format!("{name} ({})", size::human(bytes)),
        None => format!("{name} (size unknown)"),
    }
}

/// Images that are of no container, stopped ones included.
fn unused_images(images: Vec<ImageSummary>, containers: &[Facts]) -> Vec<Stored> {
    let used: BTreeSet<&str> = containers
        .iter()
        .map(|facts| facts.image_id.as_str())
        .collect();
    let unused = images
        .into_iter()
        .filter(|image| !used.contains(image.id.as_str()));
    unused
        .map(|image| {
            let mut names = image.repo_tags;
            names.retain(|tag| tag != "<none>:<none>");
            if names.is_empty() {
                let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
                names.push(id.chars().take(12).collect());
            }
            Stored {
                names,
                bytes: u64::try_from(image.size).ok(),
            }
        })
        .collect()
}

/// What the engine stores and none of `containers` uses.
///
/// # Errors
///
/// The engine does not say.
pub async fn read(engine: &Docker, containers: &[Facts]) -> Result<Unused, EngineError> {
    let client = engine.client();
    let images = client.list_images(None::<ListImagesOptions>).await;
    let images = images.map_err(|error| engine.failed(error))?;
    let filters = HashMap::from([("dangling", vec!["true"])]);
    let options = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let volumes = client.list_volumes(Some(options)).await;
    let volumes = volumes.map_err(|error| engine.failed(error))?;
    let volumes = volumes.volumes.unwrap_or_default();
    // Without sizes the list is still worth its line.
    let sizes: BTreeMap<String, u64> = match volumes.is_empty() {
        true => BTreeMap::new(),
        false => disk::volume_sizes(client, engine.host())
            .await
            .unwrap_or_default(),
    };
    let volumes = volumes.into_iter().map(|volume| Stored {
        bytes: sizes.get(&volume.name).copied(),
        names: vec![volume.name],
    });
    Ok(Unused {
        images: unused_images(images, containers),
        volumes: volumes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::containers::example;

    fn image(id: &str, tags: &[&str], size: i64) -> ImageSummary {
        ImageSummary {
            id: format!("sha256:{id}"),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            size,
            ..ImageSummary::default()
        }
    }

    #[test]
    fn an_image_of_a_container_is_used_and_one_without_a_tag_has_its_id() {
        let images = vec![
            image("1", &["used:1"], 5),
            image("2", &["old:1", "old:2"], 7),
            image("0123456789abcdef", &["<none>:<none>"], -1),
            image("3", &[], 1),
        ];
        let unused = unused_images(images, &[example("a")]);
        let expected = [
            ("old:1 old:2", Some(7)),
            ("0123456789ab", None),
            ("3", Some(1)),
        ];
        let seen: Vec<_> = unused
            .iter()
            .map(|one| (one.names.join(" "), one.bytes))
            .collect();
        assert_eq!(
            seen,
            expected.map(|(names, bytes)| (names.to_owned(), bytes))
        );
        let found = examine(&Unused {
            images: unused,
            volumes: Vec::new(),
        });
        // By one tag alone the image would stay.
        assert_eq!(found[0].todo, "docker image rm old:1 old:2 3 0123456789ab");
        assert_eq!(found[0].count, Some(3));
    }

    #[test]
    fn nothing_unused_is_no_finding() {
        assert_eq!(examine(&Unused::default()), []);
    }

    #[test]
    fn the_largest_are_named_and_the_command_removes_all() {
        let image = |number: u64| Stored {
            names: vec![format!("i{number}")],
            bytes: Some(number << 20),
        };
        let volume = Stored {
            names: vec!["v".to_owned()],
            bytes: None,
        };
        let found = examine(&Unused {
            images: (1..=7).map(image).collect(),
            volumes: vec![volume],
        });
        assert_eq!(
            found[0].what,
            "7 images that no container uses, 28 MiB together: i7 (7 MiB), i6 (6 MiB), i5 (5 MiB), i4 (4 MiB), i3 (3 MiB) and 2 more"
        );
        assert_eq!(found[0].todo, "docker image rm i7 i6 i5 i4 i3 i2 i1");
        assert_eq!((found[0].count, found[0].bytes), (Some(7), Some(28 << 20)));
        assert_eq!(
            found[1].what,
            "1 volume that no container uses: v (size unknown)"
        );
        assert_eq!((found[1].count, found[1].bytes), (Some(1), None));
    }
}
