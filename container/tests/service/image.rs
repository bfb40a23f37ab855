//! The image, as far as it can be checked without building it.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn instructions() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("container/Dockerfile")).unwrap();
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn all(name: &str) -> Vec<Vec<String>> {
    instructions().into_iter().filter(|words| words[0] == name).collect()
}

#[test]
fn what_the_image_copies_exists_or_is_built_in_it() {
    for copy in all("COPY") {
        let words: Vec<_> = copy[1..].iter().filter(|word| !word.starts_with("--")).collect();
        let (_, sources) = words.split_last().unwrap();
        let is_built = copy.iter().any(|word| word.starts_with("--from="));
        for source in sources {
            if is_built {
                let program =
                    source.strip_prefix("/build/target/release/").expect("a built program");
                assert!(["beadrig-container", "beadrig"].contains(&program), "{program}");
            } else {
                assert!(root().join(source).exists(), "{source}");
            }
        }
    }
    let build = instructions().into_iter().find(|words| words.iter().any(|word| word == "build"));
    let build = build.unwrap().join(" ");
    assert!(build.contains("-p beadrig-container -p beadrig-cli") && build.contains("--locked"));
}

#[test]
fn base_images_are_pinned_and_the_compiler_is_the_one_of_the_project() {
    for from in all("FROM") {
        let (_, tag) = from[1].split_once(':').expect("a tag");
        assert_ne!(tag, "latest");
    }
    let rust = &all("FROM")[0][1];
    let version = rust.strip_prefix("rust:").unwrap().split('-').next().unwrap();
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    assert!(toolchain.contains(version), "{version} is not the version in rust-toolchain.toml");
}

#[test]
fn the_image_runs_as_nobody_in_particular_with_an_init_and_git() {
    assert_eq!(all("USER").last().unwrap()[1], "agent");
    let entry = all("ENTRYPOINT").concat().join(" ");
    assert!(entry.contains("tini") && entry.contains("beadrig-container"), "{entry}");
    let run = all("RUN").concat().join(" ");
    for part in ["ca-certificates", "git", "tini", "useradd"] {
        assert!(run.contains(part), "{part}");
    }
    // Else any agent reads the service's token from the environment of process 1.
    assert!(run.contains("chmod 0711 /usr/bin/tini"), "{run}");
    assert_eq!(all("EXPOSE")[0][1], "8080");
    let text = std::fs::read_to_string(root().join("container/Dockerfile")).unwrap();
    assert!(!text.contains("TOKEN"), "no secret belongs in an image");
}
