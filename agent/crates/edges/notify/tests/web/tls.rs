//! Servers with and without a right to their name.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backstop_notify::{BadCertificates, HttpWeb};
use backstop_seams::conformance::web::get;
use backstop_seams::{Web, WebFailureKind, WebRequest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::{Server, head_of};
use crate::{failure_of, web};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// A server's side of TLS with a certificate of `authority` for `name`.
fn identity(authority: &Authority, name: &str, expired: bool) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    if expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let certificate = params.signed_by(&key, authority).expect("signed").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key);
    Arc::new(config.expect("a certificate and its key"))
}

/// Answers one request with 200 and `safe`, then says goodbye or just goes.
fn serve(config: &Arc<ServerConfig>, stream: TcpStream, answer: &[u8]) {
    let session = ServerConnection::new(Arc::clone(config)).expect("a session");
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    if head_of(&mut stream).is_empty() {
        return;
    }
    let _ = stream.get_mut().write_all(answer);
    stream.get_mut().conn.send_close_notify();
    let _ = stream.get_mut().flush();
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsafe";

fn server(config: Arc<ServerConfig>) -> Server {
    Server::raw(move |stream| serve(&config, stream, ANSWER))
}

fn trusting(authority: &Authority) -> HttpWeb {
    web().trusting(authority.pem().as_bytes()).expect("an authority")
}

fn to(server: &Server) -> WebRequest {
    get(&format!("https://127.0.0.1:{}/T0KEN?q=T0KEN", server.port()))
}

#[test]
fn a_server_with_a_certificate_of_a_trusted_authority_is_spoken_to() {
    let authority = authority();
    let server = server(identity(&authority, "127.0.0.1", false));
    let answer = trusting(&authority).send(to(&server)).expect("answered");
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"safe".as_slice()));
}

#[test]
fn nobody_else_is() {
    let (ours, theirs) = (authority(), authority());
    let expired = identity(&ours, "127.0.0.1", true);
    for (what, config) in [
        ("a stranger's certificate", identity(&theirs, "127.0.0.1", false)),
        ("another name", identity(&ours, "hooks.example", false)),
        ("another address", identity(&ours, "127.0.0.2", false)),
        ("an expired certificate", expired),
    ] {
        let failure = failure_of(&trusting(&ours), to(&server(config)));
        assert_eq!(failure.kind, WebFailureKind::Unreachable, "{what}: {failure}");
        assert!(failure.message.contains("TLS failed"), "{what}: {failure}");
    }
    let failure = failure_of(&web(), to(&server(identity(&ours, "127.0.0.1", false))));
    assert_eq!(failure.kind, WebFailureKind::Unreachable, "trusted only where it was said: {failure}");
}

#[test]
fn a_server_that_speaks_no_tls_is_not_sent_anything_readable() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::start(move |line, head| {
        let _ = tell.send(head.to_owned());
        crate::server::say(line, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    let failure = failure_of(&web_with_some_authority(), to(&server));
    assert_eq!(failure.kind, WebFailureKind::Unreachable, "{failure}");
    drop(server);
    assert!(told.iter().all(|head| !head.contains("T0KEN")));
}

#[test]
fn a_handshake_ends_at_the_deadline() {
    // The beginning of a handshake record, a byte at a time.
    let server = Server::raw(|mut stream| {
        for byte in [22, 3, 3, 64, 0].into_iter().chain(std::iter::repeat(0)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let began = std::time::Instant::now();
    let request = WebRequest { timeout: Duration::from_millis(300), ..to(&server) };
    assert_eq!(failure_of(&web_with_some_authority(), request).kind, WebFailureKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn an_answer_without_a_length_and_without_a_goodbye_is_cut_short() {
    let authority = authority();
    let config = identity(&authority, "127.0.0.1", false);
    let server = Server::raw(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, stream));
        head_of(&mut stream);
        let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of");
        // Before the session is dropped, which would say goodbye.
        let _ = stream.get_ref().sock.shutdown(std::net::Shutdown::Both);
    });
    let failure = failure_of(&trusting(&authority), to(&server));
    assert_eq!(failure.kind, WebFailureKind::Unreachable, "{failure}");
}

fn web_with_some_authority() -> HttpWeb {
    trusting(&authority())
}

#[test]
fn what_is_no_certificate_is_not_trusted() {
    let bad = |pem: &str| web().trusting(pem.as_bytes()).err().expect("refused");
    assert_eq!(bad(""), BadCertificates::None);
    assert_eq!(bad("no PEM at all"), BadCertificates::None);
    assert_eq!(bad(&KeyPair::generate().expect("a key").serialize_pem()), BadCertificates::None);
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = format!("{}{damaged}", authority().pem());
    assert!(matches!(bad(&second), BadCertificates::Unreadable { number: 2, .. }), "{}", bad(&second));
}
