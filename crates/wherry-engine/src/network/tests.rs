//! What a guest may reach after which lookups; real servers are met in `tests/hostile`.

use super::*;
use crate::monitor::Verdict;

/// The network under these flags.
fn network(net: &[&str], listen: &[&str]) -> Arc<Network> {
    let mut policy = Policy::default();
    for text in net {
        policy.allow_net(text).unwrap();
    }
    for text in listen {
        policy.allow_listen(text).unwrap();
    }
    Network::of(
        &policy,
        &Limits::terminal(),
        &Arc::default(),
        &mut WasiCtxBuilder::new(),
    )
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The flags of what was refused.
fn lifts(network: &Network) -> Vec<String> {
    let lift = |verdict| match verdict {
        Verdict::Refused { lift, .. } => lift.map(|lift| format!("--{} {}", lift.flag, lift.value)),
        Verdict::Granted | Verdict::Failed { .. } => None,
    };
    let entries = network.monitor.entries();
    entries
        .into_iter()
        .filter_map(|entry| lift(entry.verdict))
        .collect()
}

#[test]
fn a_name_opens_the_addresses_that_it_led_to_and_no_port_besides() {
    let network = network(&["a.example:443", "*.b.example:80"], &[]);
    let connects = |text| network.allows(at(text), SocketAddrUse::TcpConnect);
    assert!(!connects("1.1.1.1:443"));
    assert_eq!(network.learned("a.example", vec![ip("1.1.1.1")]), [ip("1.1.1.1")]);
    assert!(connects("1.1.1.1:443"));
    assert!(network.allows(at("1.1.1.1:443"), SocketAddrUse::UdpSend));
    assert!(!connects("1.1.1.1:80"));
    assert!(!connects("1.1.1.2:443"));
    assert_eq!(network.learned("x.b.example", vec![ip("1.1.1.1")]).len(), 1);
    assert!(connects("1.1.1.1:80"));
    assert_eq!(
        lifts(&network),
        [
            "--allow-net 1.1.1.1:443",
            "--allow-net a.example:80",
            "--allow-net 1.1.1.2:443"
        ]
    );
}

#[test]
fn a_name_opens_no_address_that_is_not_public_however_often_it_leads_there() {
    let network = network(&["a.example:*"], &[]);
    for answer in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "64:ff9b::a00:1",
    ] {
        assert!(
            network.learned("a.example", vec![ip("1.1.1.1"), ip(answer)]) == [ip("1.1.1.1")],
            "{answer}"
        );
        assert!(
            !network.allows(SocketAddr::new(ip(answer), 443), SocketAddrUse::TcpConnect),
            "{answer}"
        );
    }
}

#[test]
fn a_range_opens_what_a_name_leads_to_inside_of_it() {
    let network = network(&["a.example:443", "10.0.0.0/8:443"], &[]);
    assert_eq!(
        network.learned("a.example", vec![ip("10.0.0.1"), ip("192.168.0.1")]),
        [ip("10.0.0.1")]
    );
    assert!(network.allows(at("10.0.0.1:443"), SocketAddrUse::TcpConnect));
    assert!(!network.allows(at("10.0.0.1:80"), SocketAddrUse::TcpConnect));
}

#[test]
fn a_port_of_the_systems_choice_may_be_bound_and_not_listened_at() {
    let network = network(&[], &["127.0.0.1:8080"]);
    let allows = |text, usage| network.allows(at(text), usage);
    assert!(allows("0.0.0.0:0", SocketAddrUse::TcpBind));
    assert!(!allows("0.0.0.0:0", SocketAddrUse::TcpListen));
    assert!(!allows("127.0.0.1:40000", SocketAddrUse::TcpListen));
    assert!(allows("127.0.0.1:8080", SocketAddrUse::TcpBind));
    assert!(allows("127.0.0.1:8080", SocketAddrUse::TcpListen));
    assert!(!allows("127.0.0.1:8081", SocketAddrUse::TcpBind));
    assert!(!allows("0.0.0.0:8080", SocketAddrUse::UdpBind));
}

#[test]
fn a_datagram_is_heard_from_whom_it_was_sent_to_or_where_the_guest_serves() {
    let client = network(&["1.1.1.1:53"], &[]);
    assert!(!client.allows(at("1.1.1.1:53"), SocketAddrUse::UdpReceive));
    assert!(client.allows(at("1.1.1.1:53"), SocketAddrUse::UdpSend));
    assert!(client.allows(at("1.1.1.1:53"), SocketAddrUse::UdpReceive));
    assert!(!client.allows(at("1.1.1.2:53"), SocketAddrUse::UdpReceive));

    let server = network(&[], &["127.0.0.1:53"]);
    assert!(!server.allows(at("127.0.0.1:9"), SocketAddrUse::UdpReceive));
    assert!(server.allows(at("127.0.0.1:53"), SocketAddrUse::UdpBind));
    assert!(!server.allows(at("127.0.0.1:9"), SocketAddrUse::UdpSend));
    assert!(server.allows(at("127.0.0.1:9"), SocketAddrUse::UdpReceive));
    assert!(server.allows(at("127.0.0.1:9"), SocketAddrUse::UdpSend));
    assert!(!server.allows(at("127.0.0.1:10"), SocketAddrUse::UdpSend));
}

#[test]
fn a_request_goes_where_the_rule_says() {
    let mut policy = Policy::default();
    policy.allow_http("https://*.example/v1").unwrap();
    let network = Network::of(
        &policy,
        &Limits::terminal(),
        &Arc::default(),
        &mut WasiCtxBuilder::new(),
    );
    let host = Host::Name("a.example".to_owned());
    assert!(network.sends("GET", "https", &host, 443, "/v1/x"));
    assert!(!network.sends("GET", "http", &host, 80, "/v1/x"));
    assert!(!network.sends("GET", "https", &Host::Address(ip("1.1.1.1")), 443, "/v1/x"));
    assert!(network.leads("https", &host, at("1.1.1.1:443")));
    assert!(!network.leads("https", &host, at("10.0.0.1:443")));
    assert!(!network.allows(at("1.1.1.1:443"), SocketAddrUse::TcpConnect));
    assert_eq!(lifts(&network)[0], "--allow-http http://a.example/");
}
