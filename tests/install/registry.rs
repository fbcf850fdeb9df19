//! The packages as they would be published under a scope, fetched from a registry on loopback: the package for this system is an
//! optional dependency.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::npm::{Npm, run};
use crate::others;
use crate::packages::{PLATFORM, VERSION, assert_becomes_the_program, is_program_of, pack, packing, shared};
use crate::support::http::{Reply, Server};
use crate::support::sandbox::{Sandbox, Text};

/// The scope that the packages are published under.
const SCOPE: &str = "@acme";

/// The packages for the scope. Made once.
fn packed() -> &'static [PathBuf] {
    static PACKED: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PACKED.get_or_init(|| pack(packing("npm", VERSION).env("RELEASE_NPM_SCOPE", "acme").arg(shared().join("scoped"))))
}

/// The `package.json` of a package.
fn manifest(package: &Path) -> Value {
    let output = Command::new("tar").arg("-xzOf").arg(package).arg("package/package.json").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A registry with these packages, and no others.
fn registry(packages: &[PathBuf]) -> Server {
    let packages: Vec<(Value, Vec<u8>)> =
        packages.iter().map(|package| (manifest(package), std::fs::read(package).unwrap())).collect();
    Server::start(Arc::new(move |request| {
        let host = request.header("host").unwrap_or_default();
        let path = request.path.replace("%2f", "/").replace("%2F", "/");
        for (manifest, content) in &packages {
            let (name, version) = (manifest["name"].as_str().unwrap(), manifest["version"].as_str().unwrap());
            let file = format!("/files/{}.tgz", name.replace('/', "-"));
            if path == file {
                return Reply::Full { status: 200, headers: Vec::new(), body: content.clone() };
            }
            if path.trim_start_matches('/') == name {
                let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(content));
                let mut manifest = manifest.clone();
                manifest["dist"] =
                    json!({"tarball": format!("http://{host}{file}"), "integrity": format!("sha512-{digest}")});
                let answer = json!({
                    "name": name, "dist-tags": {"latest": version}, "versions": {version: manifest},
                    "time": {version: "2020-01-01T00:00:00.000Z"}
                });
                return Reply::json(200, &answer.to_string());
            }
        }
        Reply::json(404, r#"{"error": "Not found"}"#)
    }))
}

/// Makes the sandbox's package managers use a registry.
fn use_registry(sandbox: &mut Sandbox, server: &Server) {
    let url = format!("http://{}/", server.address());
    sandbox.set("npm_config_registry", &url);
    sandbox.set("YARN_REGISTRY", &url);
    sandbox.set("npm_config_fetch_retries", "0");
}

#[test]
fn one_name_is_enough() {
    for args in [&[][..], &["--ignore-scripts"]] {
        let Some(mut npm_) = Npm::new() else { return };
        let packages = packed();
        let optional = manifest(&packages[0])["optionalDependencies"].clone();
        assert_eq!(optional, json!({format!("{SCOPE}/act-claude-{PLATFORM}"): VERSION}));
        let server = registry(packages);
        use_registry(&mut npm_.sandbox, &server);
        run(npm_.global(&["install", "@acme/act-claude"]).args(args));
        let command = npm_.command();
        assert_eq!(is_program_of(&command, VERSION), args.is_empty());
        assert_becomes_the_program(&mut npm_.sandbox, &command);
        let said = run(npm_.sandbox.command(&command).args(["act", "uninstall", "--yes"]));
        assert!(said.contains("npm uninstall -g --prefix ") && said.ends_with(" @acme/act-claude\n"), "{said}");
    }
}

/// An optional dependency that can't be fetched does not make the installation fail.
#[test]
fn the_package_for_this_system_can_t_be_fetched() {
    let Some(mut npm_) = Npm::new() else { return };
    let server = registry(&packed()[..1]);
    use_registry(&mut npm_.sandbox, &server);
    run(&mut npm_.global(&["install", "@acme/act-claude"]));
    let output = npm_.sandbox.command(npm_.command()).output().unwrap();
    let fix = format!("npm install -g {SCOPE}/act-claude@{VERSION} --include=optional");
    assert_eq!(output.code(), 127);
    assert!(output.err().ends_with(&format!(" is not installed: {fix}\n")), "{}", output.err());
    // The fix works.
    let server = registry(packed());
    use_registry(&mut npm_.sandbox, &server);
    run(npm_.sandbox.command("sh").args(["-c", &fix]).env("npm_config_prefix", &npm_.prefix));
    assert!(is_program_of(&npm_.command(), VERSION));
}

#[test]
fn pnpm_and_yarn_fetch_it() {
    for (manager, verb) in [("pnpm", "add"), ("yarn", "add")] {
        let Some((mut npm_, program)) = others::with(manager) else { return };
        let packages = packed();
        let server = registry(packages);
        use_registry(&mut npm_.sandbox, &server);
        let app = npm_.sandbox.directory("work/app");
        std::fs::write(app.join("package.json"), r#"{"private": true}"#).unwrap();
        run(npm_.sandbox.command(&program).args([verb, "@acme/act-claude"]).current_dir(&app));
        assert_becomes_the_program(&mut npm_.sandbox, &app.join("node_modules/.bin/act-claude"));
    }
}

/// Without a scope the names belong to nobody: a package for files must not make npm fetch a program by such a name.
#[test]
fn without_a_scope_nothing_is_fetched_by_name() {
    if crate::support::program("npm").is_some() {
        let manifest = manifest(&crate::packages::npm(VERSION)[0]);
        for kind in ["dependencies", "optionalDependencies", "peerDependencies"] {
            assert!(manifest[kind].as_object().is_none_or(serde_json::Map::is_empty), "{manifest}");
        }
    }
}
