use super::*;

fn environment(text: &str) -> Environment {
    text.split_whitespace().map(|entry| entry.split_once('=').expect("NAME=value")).collect()
}

fn ancestor(kind: ProcessKind, text: &str) -> Ancestor {
    Ancestor { pid: 7, kind, environment: Some(environment(text)) }
}

/// The environment that is trusted for `own` below these processes, the outermost first.
fn below(line: &[(ProcessKind, &str)], own: &str) -> Environment {
    let ancestors: Vec<Ancestor> = line.iter().rev().map(|(kind, text)| ancestor(*kind, text)).collect();
    trusted_by(&ancestors, &environment(own))
}

const HOME: &str = "HOME=/h PATH=/bin";

fn own_home() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
    format!("HOME={}", user.dir.display())
}

fn why(environment: &Environment) -> &str {
    environment.doubt().everything.as_deref().unwrap_or("")
}

#[test]
fn outside_everything_counts() {
    let own = environment("HOME=/h ACT_CLAUDE_CONFIG=/c");
    assert_eq!(trusted_by(&[], &own), own);
    assert_eq!(trusted_by(&[ancestor(ProcessKind::Shell, "HOME=/x"), ancestor(ProcessKind::Other, "")], &own), own);
}

#[test]
fn what_settings_put_in_does_not_count() {
    let inside = |extra: &str| {
        let poisoned = format!("{HOME} CLAUDECODE=1 {extra}");
        below(
            &[(ProcessKind::Other, "HOME=/x"), (ProcessKind::Claude, HOME), (ProcessKind::Shell, &poisoned)],
            &poisoned,
        )
    };
    assert_eq!(inside("").doubt(), &Doubt::default());
    for place in ["ACT_CLAUDE_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "CLAUDE_CONFIG_DIR"] {
        let trusted = inside(&format!("{place}=/evil"));
        assert!(why(&trusted).starts_with(&format!("{place} differs from")), "{place}: {}", why(&trusted));
        assert_eq!(trusted.get(place), None);
    }
    // Another spelling of the same path is no difference.
    assert_eq!(inside("XDG_CONFIG_HOME=/h/.config XDG_STATE_HOME=").doubt(), &Doubt::default());
    for route in ROUTES.into_iter().chain(["TOKEN", "LD_LIBRARY_PATH", "ACT_CLAUDE_ORIG"]) {
        let trusted = inside(&format!("{route}=/evil"));
        assert_eq!((trusted.get(route), why(&trusted)), (None, ""), "{route}");
    }
    let home = below(&[(ProcessKind::Claude, HOME)], "HOME=/evil PATH=/evil CLAUDECODE=1");
    assert!(why(&home).starts_with("HOME differs from"));
    assert_eq!((home.text("HOME"), home.text("PATH")), (Some("/h"), Some("/bin")));
}

/// Observed: claude removes the `OTEL_` variables for the programs that it starts.
#[test]
fn the_variables_of_a_metrics_pipeline() {
    let outer =
        format!("{HOME} CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_EXPORTER_OTLP_HEADERS=a=b");
    for (inner, doubt) in [
        (outer.clone(), PipelineDoubt::None),
        (format!("{HOME} CLAUDE_CODE_ENABLE_TELEMETRY=1"), PipelineDoubt::Removed),
        (format!("{outer} OTEL_EXPORTER_OTLP_ENDPOINT=http://evil"), PipelineDoubt::Changed),
        (format!("{HOME} OTEL_METRICS_EXPORTER=otlp"), PipelineDoubt::Changed),
    ] {
        assert_eq!(below(&[(ProcessKind::Claude, &outer)], &inner).doubt().pipeline, doubt, "{inner}");
    }
}

#[test]
fn what_a_session_may_say_for_itself() {
    let trusted = below(
        &[(ProcessKind::Claude, HOME)],
        &format!("{HOME} ACT_CLAUDE=off ACT_CLAUDE_ALIAS=web ACT_CLAUDE_REPORT=json"),
    );
    assert_eq!((trusted.text("ACT_CLAUDE"), trusted.text("ACT_CLAUDE_ALIAS")), (Some("off"), Some("web")));
    assert_eq!(trusted.doubt(), &Doubt { everything: None, alias: true, pipeline: PipelineDoubt::None });
    // Off stays off, and the alias that claude was started with is not in doubt.
    let outer = format!("{HOME} ACT_CLAUDE=off ACT_CLAUDE_ALIAS=web");
    let trusted = below(&[(ProcessKind::Claude, &outer)], &format!("{HOME} ACT_CLAUDE=on ACT_CLAUDE_ALIAS=web"));
    assert_eq!((trusted.text("ACT_CLAUDE"), trusted.doubt().alias), (Some("off"), false));
    // A variable that hides the reason is not trusted.
    let silenced =
        below(&[(ProcessKind::Claude, HOME)], &format!("{HOME} ACT_CLAUDE_CONFIG=/evil ACT_CLAUDE_REPORT=never"));
    assert_eq!(silenced.text("ACT_CLAUDE_REPORT"), None);
}

#[test]
fn a_claude_started_inside_a_claude_is_not_believed() {
    let poisoned = format!("{HOME} ACT_CLAUDE_CONFIG=/evil CLAUDECODE=1");
    let line = [
        (ProcessKind::Claude, HOME),
        (ProcessKind::Shell, &*poisoned),
        (ProcessKind::Claude, &poisoned),
        (ProcessKind::Shell, &poisoned),
    ];
    assert!(why(&below(&line, &poisoned)).starts_with("ACT_CLAUDE_CONFIG"));
    // Its enclosing claude has ended, so the origin is not known.
    let home = own_home();
    for variable in ["ACT_CLAUDE_CONFIG", "HTTPS_PROXY"] {
        let orphan = format!("{home} CLAUDECODE=1 {variable}=/evil");
        assert!(why(&below(&[(ProcessKind::Claude, &orphan)], &orphan)).starts_with(&format!("{variable} is set")));
    }
    assert_eq!(
        why(&below(
            &[(ProcessKind::Claude, &format!("{home} CLAUDECODE=1"))],
            &format!("{home} CLAUDECODE=1 TMPDIR=/x")
        )),
        ""
    );
}

#[test]
fn the_mark_without_a_claude() {
    let home = format!("{} CLAUDECODE=1", own_home());
    assert_eq!(why(&trusted_by(&[], &environment(&home))), "");
    for name in ["ACT_CLAUDE_CONFIG", "XDG_STATE_HOME", "HTTPS_PROXY", "ACT_CLAUDE_BIN"] {
        let trusted = trusted_by(&[], &environment(&format!("{home} {name}=/x")));
        assert!(why(&trusted).starts_with(&format!("{name} is set")), "{}", why(&trusted));
        assert_eq!(trusted.get(name), None);
    }
}

#[test]
fn an_environment_that_can_t_be_read() {
    let hidden = Ancestor { pid: 7, kind: ProcessKind::Claude, environment: None };
    let trusted = trusted_by(&[hidden], &environment("HOME=/h ACT_CLAUDE_BIN=/evil ACT_CLAUDE_CONFIG=/evil"));
    assert!(why(&trusted).contains("process 7) can't be read"));
    assert_eq!((trusted.get("ACT_CLAUDE_BIN"), trusted.get("ACT_CLAUDE_CONFIG")), (None, None));
    // A process whose environment can't be read is_trusted as a shell: it is not trusted.
    let hidden = Ancestor { pid: 8, kind: ProcessKind::Other, environment: None };
    let trusted = trusted_by(&[hidden, ancestor(ProcessKind::Claude, HOME)], &environment("HOME=/other"));
    assert!(why(&trusted).starts_with("HOME"));
}

#[test]
fn programs_in_between() {
    let claude = (ProcessKind::Claude, HOME);
    let tool = format!("{HOME} CLAUDECODE=1");
    let shell = (ProcessKind::Shell, tool.as_str());
    // As typed in a shell, or through a program that passes on a typed command: not trusted.
    assert!(why(&below(&[claude, shell], "HOME=/other PATH=/bin")).starts_with("HOME"));
    // A test suite with a home directory of its own, and variables that shells below it set.
    let sandbox = "HOME=/sandbox PATH=/sandbox/bin";
    let line = [claude, shell, (ProcessKind::Other, &tool), (ProcessKind::Shell, sandbox)];
    let own = format!("{sandbox} ACT_CLAUDE_BIN=/own HTTPS_PROXY=p");
    assert_eq!(below(&line, &own), environment(&own));
    // A claude inside of that is treated like any other.
    let line = [line[0], line[1], line[2], (ProcessKind::Claude, sandbox)];
    let trusted = below(&line, &format!("{own} ACT_CLAUDE_CONFIG=/evil"));
    assert!(why(&trusted).starts_with("ACT_CLAUDE_CONFIG"));
    assert_eq!((trusted.get("ACT_CLAUDE_BIN"), trusted.text("HOME")), (None, Some("/sandbox")));
    // A variable that settings have changed stays untrusted, even where a program adds to it.
    let poisoned = "HOME=/h PATH=/evil CLAUDECODE=1";
    let line = [claude, (ProcessKind::Shell, poisoned), (ProcessKind::Other, poisoned)];
    assert_eq!(below(&line, "HOME=/h PATH=/npm:/evil CLAUDECODE=1").text("PATH"), Some("/bin"));
}

#[test]
fn act_claude_in_between() {
    let first = format!("{HOME} ACT_CLAUDE_ORIG=1 OTEL_X=relay1");
    let tool = format!("{HOME} ACT_CLAUDE_ORIG=1 CLAUDECODE=1");
    let second = format!("{HOME} ACT_CLAUDE_ORIG=2 OTEL_X=relay2 CLAUDECODE=1");
    let line = [
        (ProcessKind::Claude, first.as_str()),
        (ProcessKind::Shell, &tool),
        (ProcessKind::Ourselves, &tool),
        (ProcessKind::Claude, &second),
    ];
    let forged = format!("{HOME} ACT_CLAUDE_ORIG=forged CLAUDECODE=1");
    let trusted = below(&line, &forged);
    assert_eq!((trusted.text("ACT_CLAUDE_ORIG"), trusted.get("OTEL_X")), (Some("2"), None));
    // A script that act-claude started may choose the next program, and nothing else.
    let trusted = below(&[(ProcessKind::Script, HOME)], "HOME=/h PATH=/next ACT_CLAUDE_BIN=/next HTTPS_PROXY=evil");
    assert_eq!(
        (trusted.text("PATH"), trusted.text("ACT_CLAUDE_BIN"), trusted.get("HTTPS_PROXY")),
        (Some("/next"), Some("/next"), None)
    );
}

#[test]
fn gits_variables_do_not_count_where_their_origin_is_not_known() {
    let poisoned = format!("{} CLAUDECODE=1 GIT_DIR=/evil GIT_CONFIG_COUNT=1", own_home());
    for line in [&[][..], &[(ProcessKind::Shell, &*poisoned)], &[(ProcessKind::Claude, &poisoned)]] {
        let trusted = below(line, &poisoned);
        assert_eq!(
            (trusted.get("GIT_DIR"), trusted.get("GIT_CONFIG_COUNT"), why(&trusted)),
            (None, None, ""),
            "{line:?}"
        );
    }
    // What the user started the outermost claude with counts, and what settings set inside does not.
    let outer = format!("{HOME} GIT_DIR=/own");
    let trusted =
        below(&[(ProcessKind::Claude, &outer)], &format!("{HOME} CLAUDECODE=1 GIT_DIR=/evil GIT_COMMON_DIR=/evil"));
    assert_eq!((trusted.text("GIT_DIR"), trusted.get("GIT_COMMON_DIR")), (Some("/own"), None));
}
