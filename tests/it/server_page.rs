//! docs/server.md is true: its pages, keys, bounds and flags exist, nothing that exists is missing, and
//! its examples run.
//!
//! Holds the reading of that page. Refuses to test what a page answers beyond its shape.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::support::served::{Answer, Body, Connection, Served};

const ACCOUNT: &str = "123456789012";

/// The page.
fn page() -> String {
    fs::read_to_string("docs/server.md").unwrap()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of each row of the table with this heading.
fn table<'p>(page: &'p str, heading: &str) -> Vec<Vec<&'p str>> {
    let rows = page.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |line: &'p str| line.trim_matches('|').split('|').map(str::trim).collect();
    let rows: Vec<Vec<&str>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table {heading}");
    rows
}

/// A server with two instances that reach each other.
struct Lab {
    served: Served,
    hosts: [String; 2],
}

impl Lab {
    fn new(name: &str) -> Lab {
        let log = env::temp_dir().join(format!("vpclab-page-{}-{name}", std::process::id()));
        let served = Served::start(&["--clock", "virtual"], &log);
        let _ = fs::remove_file(log);
        let mut connection = Connection::open(served.address()).unwrap();
        let form =
            "Action=RunInstances&Version=2016-11-15&ImageId=ami-12345678&MinCount=2&MaxCount=2";
        let answer = connection.ask(ACCOUNT, form).unwrap();
        let ids = answer.text().split("<instanceId>").skip(1);
        let mut ids = ids.map(|rest| rest.split('<').next().unwrap().to_owned());
        let hosts = [ids.next().unwrap(), ids.next().unwrap()];
        Lab { served, hosts }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut connection = Connection::open(self.served.address()).unwrap();
        let length = body.len();
        let request = format!(
            "{method} /_vpclab/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.stream().write_all(request.as_bytes()).unwrap();
        connection.answer(Body::Sent).unwrap()
    }

    /// A question of the first host about the second.
    fn question(&self, page: &str, more: &[(&str, Value)]) -> Answer {
        let mut body = Map::new();
        body.insert("from".to_owned(), json!(self.hosts[0]));
        body.insert("to".to_owned(), json!(self.hosts[1]));
        body.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.ask("POST", page, &Value::Object(body).to_string())
    }
}

/// The pages that the table names, as method and path.
fn pages(page: &str) -> BTreeSet<(String, String)> {
    let mut pages = BTreeSet::new();
    for row in table(page, "| page | what it does |") {
        let mut method = "";
        for words in quoted(row[0]) {
            let (first, path) = words.split_once(' ').unwrap_or((method, words));
            // `by=7d` is a parameter.
            if !path.contains('=') || path.contains('?') {
                method = first;
                pages.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    pages
}

#[test]
fn every_page_of_the_server_is_described_and_exists() {
    let page = page();
    let described = pages(&page);
    let lab = Lab::new("pages");
    for (method, path) in &described {
        let path =
            path.replace("<fl-id>", "fl-00000000000000000").replace("account=<id>", "account=1");
        let answer = lab.ask(method, &path.replace("<id>", "1"), "");
        assert!(!answer.text_or_empty().contains("there is no page"), "{method} {path}");
    }
    // The routes of the server, as they stand in its source.
    let source = fs::read_to_string("src/api/local.rs").unwrap();
    let mut routes = 0;
    for rest in source.split("(Method::").skip(1) {
        let Some((method, rest)) = rest.split_once(", \"") else { continue };
        let Some((path, _)) = rest.split_once("\")") else { continue };
        if ["Get", "Post"].contains(&method) {
            routes += 1;
            let route = (method.to_uppercase(), path.to_owned());
            assert!(described.contains(&route), "{route:?} is not described");
        }
    }
    assert!(routes > 8, "{routes}");
}

#[test]
fn every_key_means_something_to_its_pages_alone() {
    let page = page();
    let lab = Lab::new("keys");
    let all = ["ping", "udp", "tcp", "trace"];
    let mut keys = 0;
    for row in table(&page, "| key | of | meaning |") {
        let [key, of, _, _, bounds] = row[..] else { panic!("{row:?}") };
        let key = quoted(key).next().unwrap();
        let of: Vec<&str> = if of == "all" { all.to_vec() } else { quoted(of).collect() };
        let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
        let bounds = bounds
            .split_once(" to ")
            .and_then(|(least, most)| Some((number(least)?, number(most)?)));
        keys += 1;
        let value = match (key, bounds) {
            ("from" | "to", _) => continue,
            ("ipv6", _) => json!(false),
            ("protocol", _) => json!("tcp"),
            (_, Some((least, _))) => json!(least),
            (_, None) => json!(0),
        };
        // A port needs a protocol that has some.
        let ported = |page: &str| {
            let more = (page == "trace" && key == "port").then(|| ("protocol", json!("udp")));
            more.into_iter()
        };
        for page in all {
            let ask = |value: Value| {
                let more: Vec<_> = ported(page).chain([(key, value)]).collect();
                lab.question(page, &more)
            };
            let answer = ask(value.clone());
            if !of.contains(&page) {
                let text = answer.text_or_empty();
                assert!(text.contains("InvalidParameterCombination"), "{page} {key}: {text}");
                continue;
            }
            assert_eq!(answer.status, 200, "{page} {key}: {}", answer.text_or_empty());
            let Some((least, most)) = bounds else { continue };
            assert_eq!(ask(json!(most)).status, 200, "{page} {key} {most}");
            assert_eq!(ask(json!(most + 1)).status, 400, "{page} {key} {most}");
            if let Some(less) = least.checked_sub(1) {
                assert_eq!(ask(json!(less)).status, 400, "{page} {key} {less}");
            }
        }
    }
    assert!(keys >= 8, "{keys}");
    assert_eq!(lab.question("ping", &[("no_such", json!(1))]).status, 400);
}

#[test]
fn its_answers_have_the_keys_that_are_described() {
    let page = page();
    let (_, block) = page.split_once("```json\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let described: Value = serde_json::from_str(block).unwrap();
    let lab = Lab::new("answer");
    let answered: Value =
        serde_json::from_slice(&lab.question("ping", &[("count", json!(3))]).body).unwrap();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&described), keys(&answered));
    for part in ["from", "to", "traffic"] {
        assert_eq!(keys(&described[part]), keys(&answered[part]), "{part}");
    }
    assert_eq!(described["format"], answered["format"]);
}

fn vpclab(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_vpclab")).args(args).output().unwrap()
}

#[test]
fn its_flags_exist() {
    let page = page();
    let help: String = ["serve", "ping", "udp", "tcp", "trace", "export"]
        .into_iter()
        .map(|command| String::from_utf8(vpclab(&[command, "--help"]).stdout).unwrap())
        .collect();
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let flags: BTreeSet<&str> = words
        .filter(|word| word.len() > 3 && word.starts_with("--"))
        .filter(|w| !w.starts_with("---"))
        .collect();
    assert!(flags.len() > 4, "{flags:?}");
    for flag in flags {
        assert!(help.split_whitespace().any(|word| word == flag), "{flag}");
    }
}

#[test]
fn its_examples_run() {
    let page = page();
    let lab = Lab::new("examples");
    let endpoint = format!("http://{}", lab.served.address());
    let mut ran = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let [one, other] = &lab.hosts;
        let line = line.replace("i-0a1b...", one).replace("i-0c2d...", other);
        if let Some(args) = line.strip_prefix("vpclab ") {
            let mut args: Vec<&str> = args.split(' ').collect();
            args.extend(["--endpoint", &endpoint]);
            let output = vpclab(&args);
            assert!(output.status.success(), "{line}: {output:?}");
        } else if let Some(rest) = line.strip_prefix("curl -s ") {
            let (rest, posts) = rest.strip_prefix("-X POST ").map_or((rest, false), |r| (r, true));
            // What reads the answer is not asked about here.
            let rest = rest.split(" | ").next().unwrap();
            let (url, body) = rest.split_once(" -d ").unwrap_or((rest, ""));
            let path = url.strip_prefix("localhost:4566/_vpclab/").unwrap();
            let method = if posts || !body.is_empty() { "POST" } else { "GET" };
            let answer = lab.ask(method, path, body.trim_matches('\''));
            assert_eq!(answer.status, 200, "{line}");
        } else {
            panic!("an example of another kind: {line}");
        }
        ran += 1;
    }
    assert!(ran >= 4, "{ran}");
}
