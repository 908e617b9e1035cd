//! `http-answers` before a real web server, and `tcp-answers` before it and a real `sshd`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::kit::{Running, free_port, machine, said};
use super::sshd::Sshd;

/// A web server for a directory, and its port.
fn serve(dir: &Path) -> (Running, u16) {
    let mut command = Command::new("python3");
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(dir);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut server = Running(child.expect("`python3` is there: install python3"));
    let line = server.first_line();
    let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1);
    let port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("it names its port: {line}"));
    (server, port)
}

fn asked(port: u16, settings: &str) -> String {
    let settings = format!("port = {port}, {settings}");
    said("http-answers", &machine(), &[format!("http:{port}")], &settings).replace(&port.to_string(), "PORT")
}

#[test]
fn a_web_server_is_healthy_when_its_pages_say_what_they_should() {
    let dir = tempfile::tempdir().expect("made");
    fs::write(dir.path().join("index.html"), "<h1>welcome to the shop</h1>").expect("written");
    fs::write(dir.path().join("cart.html"), "fatal error: no database").expect("written");
    let (server, port) = serve(dir.path());

    assert_eq!(
        asked(port, r#"paths = ["/"], contains = ["welcome"], lacks = ["error"]"#),
        "healthy\n+ http:PORT/: status 200\n+ http:PORT/: contains `welcome`\n+ http:PORT/: does not contain `error`"
    );
    assert_eq!(
        asked(port, r#"paths = ["/", "/cart.html"], lacks = ["fatal error"]"#),
        "unhealthy\n+ http:PORT/: status 200\n+ http:PORT/: does not contain `fatal error`\n\
         + http:PORT/cart.html: status 200\n- http:PORT/cart.html: contains `fatal error`"
    );
    let lost = r#"paths = ["/lost.html"], host = "shop.example.com""#;
    assert_eq!(asked(port, lost), "unhealthy\n- http:PORT/lost.html: status 404");
    assert_eq!(asked(port, r#"paths = ["/lost.html"], status = [404]"#), "healthy\n+ http:PORT/lost.html: status 404");

    drop(server);
    let gone = asked(port, r#"paths = ["/"]"#);
    assert!(gone.starts_with("unhealthy\n- http:PORT/: ") && gone.contains("efused"), "{gone}");
}

#[test]
fn what_is_not_granted_cannot_be_told() {
    let dir = tempfile::tempdir().expect("made");
    let (_server, port) = serve(dir.path());
    let settings = format!("port = {port}");
    let text = said("http-answers", &machine(), &["http:80".to_owned()], &settings);
    assert!(text.starts_with("unknown\n- http:") && text.contains("not granted"), "{text}");
}

#[test]
fn a_machine_that_was_not_started_cannot_be_told() {
    let text = said("tcp-answers", &Default::default(), &["tcp:22".to_owned()], "ports = [22]");
    assert_eq!(text, "unknown\n- tcp:22: what was restored has no address");
}

#[test]
fn a_port_is_healthy_when_it_says_its_banner() {
    let server = Sshd::start(None);
    let dir = tempfile::tempdir().expect("made");
    let (_web, web) = serve(dir.path());
    let asked = |port: u16, more: &str| {
        let settings = format!("ports = [{port}]{more}");
        said("tcp-answers", &machine(), &[format!("tcp:{port}")], &settings).replace(&port.to_string(), "PORT")
    };

    let ssh = r#", banner = "SSH-2.0-""#;
    assert_eq!(asked(server.port, ""), "healthy\n+ tcp:PORT: accepts connections");
    assert_eq!(asked(server.port, ssh), "healthy\n+ tcp:PORT: says `SSH-2.0-`");
    // The banner may stand later in what is said.
    assert_eq!(asked(server.port, r#", banner = "OpenSSH", timeout = 2"#), "healthy\n+ tcp:PORT: says `OpenSSH`");
    let other = asked(server.port, r#", banner = "220 ", timeout = 2"#);
    assert!(other.starts_with("unhealthy\n- tcp:PORT: says `SSH-2.0-OpenSSH_"), "{other}");
    assert!(other.ends_with("` and not `220 `"), "{other}");

    let hello = r#", send = "GET / HTTP/1.0\r\n\r\n", banner = "200 OK""#;
    assert_eq!(asked(web, hello), "healthy\n+ tcp:PORT: says `200 OK`");
    // A web server waits to be asked, and so says nothing: one that is slow and one that is another are told alike.
    assert_eq!(
        asked(web, r#", banner = "SSH-2.0-", timeout = 1"#),
        "unhealthy\n- tcp:PORT: an answer from 127.0.0.1:PORT took longer than 1000 ms"
    );

    let nobody = asked(free_port(), ssh);
    assert!(nobody.starts_with("unhealthy\n- tcp:PORT: connecting to 127.0.0.1:PORT failed: "), "{nobody}");
    assert!(nobody.contains("refused"), "{nobody}");
}
