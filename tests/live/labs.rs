//! Labs as processes: what a command in one sees, two beside each other, refusals, and what a lab
//! leaves of the machine.

use crate::host::{Host, is_gone, marked, namespaces_of};
use crate::lab::{Lab, README, Running, name, run, until, vpclab};

#[test]
fn commands_run_as_they_would_anywhere() {
    let lab = Lab::up(README, "commands");
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        // As a shell says it: 128 and the number of the signal.
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-command-anywhere"], 127),
        (&["/proc/version"], 126),
    ] {
        let said = lab.exec("b", command);
        assert_eq!(said.code, code, "{command:?}: {said:?}");
    }
    let said = lab.exec("b", &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("out\n", "err\n"));
    assert_eq!(lab.feed("b", &["cat"], b"through").fine(), "through");
    // Flags behind the dashes are the command's own.
    assert_eq!(lab.exec("b", &["printf", "%s", "--json"]).fine(), "--json");
    // No other device than the two.
    let said = lab.exec("b", &["cat", "/proc/self/net/dev"]).fine();
    assert_eq!(said.lines().filter(|line| line.contains(':')).count(), 2, "{said}");
    // A command's temporary files are the machine's, not the lab's.
    let directory = std::env::temp_dir();
    let said = lab.exec("b", &["ls", directory.to_str().unwrap_or("/tmp")]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_command_ends_with_the_one_that_asked() {
    let lab = Lab::up(README, "orphans");
    let before = marked(&lab.name);
    let running = lab.start("b", &["sleep", "1000"]);
    // The one that asked and the command itself, at least.
    until("it runs", || marked(&lab.name).difference(&before).count() >= 2);
    drop(running);
    until("it has ended", || marked(&lab.name) == before);
    assert!(lab.ping("b", "a"));
}

#[test]
fn two_labs_are_two_worlds() {
    let machine = Host::now();
    let (one, two) = (Lab::up(README, "one"), Lab::up(README, "two"));
    let listed = run("test-ps", &["ps"]).fine();
    for lab in [&one, &two] {
        assert!(lab.ping("b", "a"));
        assert!(listed.contains(&lab.name), "{listed}");
    }
    let json = run("test-ps", &["ps", "--json"]).fine();
    assert!(json.contains(&one.name) && json.contains("10.2.0.10"), "{json}");
    assert_eq!(Host::now(), machine, "a lab touched the machine");

    let _server = one.start("a", &["python3", "-m", "http.server", "-d", "/proc/self/net", "8000"]);
    one.wait_for_port("a", 8000);
    let fetch = ["curl", "-sS", "-o", "/dev/null", "--max-time", "5", "http://a:8000/"];
    assert_eq!(one.exec("b", &fetch).code, 0);
    assert_eq!(two.exec("b", &fetch).code, 7);
    // Two labs: the host of which?
    let said = run("test-which", &["exec", "b", "--", "true"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("--lab"), "{said:?}");

    one.down();
    assert!(two.ping("b", "a"));
    assert!(two.ping("c", "a"));
    two.down();
    assert_eq!(Host::now(), machine, "a lab left something of itself");
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let lab = Lab::up(README, "refusals");
    let named = ["--name", &lab.name];
    for (what, args, word) in [
        ("a lab of that name", [&["up", README, "--detach"], &named[..]].concat(), &*lab.name),
        ("no such file", vec!["up", "scenarios/no-such.yaml"], "no-such.yaml"),
        ("no such host", vec!["exec", "--lab", &lab.name, "zebra", "--", "true"], "zebra"),
        ("no such lab", vec!["exec", "--lab", "no-such-lab", "b", "--", "true"], "no-such-lab"),
        ("nothing to take down", vec!["down", "no-such-lab"], "no-such-lab"),
    ] {
        let said = run(&format!("{}-not", lab.name), &args);
        assert_eq!(said.code, 2, "{what}: {said:?}");
        assert!(said.err.contains(word), "{what}: {said:?}");
        assert_eq!(said.out, "", "{what}");
    }
    // It was not hurt by any of that.
    assert!(lab.ping("b", "a"));
}

/// In the foreground: Ctrl-C, and `down` by somebody else.
#[test]
fn a_lab_in_the_foreground_ends_when_asked() {
    for how in ["interrupt", "down"] {
        let name = name(&format!("foreground-{how}"));
        let mut lab = Running::start(vpclab(&name, &["up", README, "--name", &name]), &name);
        let pings = ["exec", "--lab", &name, "b", "--", "ping", "-n", "-c1", "-W2", "a"];
        until("it is up", || run(&name, &pings).code == 0);
        let had = namespaces_of(&name);
        assert!(
            had.namespaces.iter().filter(|namespace| namespace.starts_with("net:")).count() >= 3,
            "{had:?}"
        );
        if how == "interrupt" {
            lab.interrupt();
        } else {
            run(&name, &["down", &name]).fine();
        }
        let code = lab.end();
        assert_eq!(code, 0, "{how}: {}", lab.said());
        is_gone(&name, &had);
    }
}

/// What is dropped is said, with its reason, while it runs.
#[test]
fn drops_are_told_as_they_happen() {
    let name = name("told");
    let args = ["up", README, "--name", &name, "--json"];
    let mut lab = Running::start(vpclab(&name, &args), &name);
    let ping = |to| {
        let args = ["exec", "--lab", &name, "b", "--", "ping", "-n", "-c1", "-W2", to];
        run(&name, &args).code
    };
    until("it is up", || ping("a") == 0);
    assert!(!lab.said().contains("transit"), "{}", lab.said());
    assert_eq!(ping("c"), 1);
    until("the drop is told", || lab.said().contains("transit"));
    let had = namespaces_of(&name);
    lab.interrupt();
    lab.end();
    for line in lab.said().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "no JSON: {line}");
    }
    is_gone(&name, &had);
}
