//! Alerts on their way to a receiver that may not be there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use backstop_tests::Site;

use super::kit::{bind, shows};

/// A receiver that takes one request, answers with a status, and hands over what came.
fn receiver(status: u16) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count) = stream.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&seen);
                let length = text
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
                let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
                if count == 0 || (text.contains("\r\n\r\n") && body >= length.unwrap_or(0)) {
                    break;
                }
            }
            let _ = stream
                .write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
            let _ = tell.send(String::from_utf8_lossy(&seen).into_owned());
        }
    });
    (port, told)
}

fn sink(site: &Site, port: u16) {
    let more = format!(
        "mode = \"active\"\ngrants = {{ http = [\"private:http://127.0.0.1:{port}\"] }}\n\
         settings = {{ url = \"http://127.0.0.1:{port}/hook\" }}"
    );
    bind(site, "webhook", "alert-sink", &more);
}

/// A failed backup reaches the sink at the end of the verb, and so does the news that it is over.
#[test]
fn a_failed_backup_is_delivered_and_so_is_its_end() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    let (port, told) = receiver(200);
    sink(&site, port);
    site.ok(&["alert", "test"]);
    assert!(told.recv().expect("arrives").contains("a test of the alerts"));
    std::fs::rename(site.path("srv/docs"), site.path("srv/gone")).expect("moved");
    let failed = site.run(&["backup", "trigger", "docs"]);
    assert_ne!(failed.code, 0, "{failed}");
    let alert = told.recv().expect("arrives");
    assert!(alert.contains("backup-failed") && alert.contains("docs"), "{alert}");
    site.clock("2031-05-05T10:00:00Z");
    std::fs::rename(site.path("srv/gone"), site.path("srv/docs")).expect("back");
    site.backup();
    let over = told.recv().expect("arrives");
    assert!(over.contains("went through again"), "{over}");
    let listed = site.json(&["alert", "list", "--all"]);
    let states: Vec<&str> =
        listed["alerts"].as_array().expect("alerts").iter().filter_map(|a| a["state"].as_str()).collect();
    assert_eq!(states, ["delivered"; 3], "{listed}");
}

/// A receiver that is away is tried again by the next wake; without any sink, the operator sees the alert itself.
#[test]
fn a_receiver_that_is_away_is_tried_again_and_without_a_sink_the_alert_is_shown() {
    let mut site = Site::at("2031-05-05T09:00:00Z");
    shows(&site, 4, &["alert", "test"], &["no sink took it over"]);
    let away = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    sink(&site, away);
    shows(&site, 4, &["alert", "test"], &["0 delivered, 1 to be tried again"]);
    let (port, told) = receiver(200);
    sink(&site, port);
    site.clock("2031-05-05T11:00:00Z");
    site.ok(&["agenda", "--run"]);
    assert!(told.recv().expect("arrives").contains("a test of the alerts"));
    assert_eq!(site.json(&["alert", "list", "--all"])["alerts"][0]["state"], "delivered");
}

/// What was not granted is not reached, and the list says so.
#[test]
fn a_sink_reaches_only_what_was_granted() {
    let site = Site::new();
    let (port, told) = receiver(200);
    let more = format!(
        "mode = \"active\"\ngrants = {{ http = [\"hooks.example.com\"] }}\nsettings = {{ url = \"http://127.0.0.1:{port}/hook\" }}"
    );
    bind(&site, "webhook", "alert-sink", &more);
    site.run(&["alert", "test"]).expect(4);
    assert!(told.try_recv().is_err(), "nothing was sent");
    let listed = site.json(&["alert", "list"]);
    assert!(listed["alerts"][0]["last_error"].as_str().is_some_and(|why| why.contains("grant")), "{listed}");
}
