//! Conversations of real clients with the NATS server: nats-py 2.16 with 2.9.10, nats.go 1.55 and async-nats 0.38 with 2.15.2.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{Recording, assert_recovers, assert_same_however_split, heard, recording};

fn check(text: &str, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Nats, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Nats, &calls);
    // Who lost the subscription does not know the queue group, who lost what JetStream said of a consumer not that it wants
    // no acknowledgement, and who lost a request not what came together.
    assert_recovers(System::Nats, &without_memory(calls), 0);
}

/// What is left if nothing depends on what was heard before: no queue groups, no consumers without acknowledgement, no requests
/// for several messages.
fn without_memory(calls: Recording) -> Recording {
    let replace = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace(" crew ", "  ")
            .replace("\"ack_policy\":\"none\"", "\"ack_policy\":\"some\"")
            .replace("\"batch\":200", "\"batch\":  1")
            .replace("\"batch\":10,", "\"batch\": 1,")
            .replace("\"batch\":2", "\"batch\":1")
            .replace("\"batch\": 3", "\"batch\": 1")
            .into_bytes()
    };
    calls.into_iter().map(|(to_server, bytes)| (to_server, replace(bytes))).collect()
}

#[test]
fn nats_py_subscribes_and_answers() {
    check(
        include_str!("../recordings/nats_py_core_workers.txt"),
        &expect![[r#"
        >0+175 connect
        >187+21 subscribe ["plant.*.temp"]
        >208+19 subscribe ["jobs.>"]
        >227+12 subscribe ["ask"]
        <283+28 deliver plant.a.temp b"21.5" 4/4
        <311+24 deliver plant.b.temp b"" 0/0
        <335+171 deliver jobs.x group=crew b"\r\nPUB a 3\r\nxyz\r\n" 16/16
        <506+1527 deliver plant.a.temp b"xxxxxxxxxxxxxxxx" 1500/1500
        <2033+73 deliver ask b"1" 1/1
        >239+73 publish _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfm60a3a b"pong:1" 6/6
        <2106+96 deliver ask b"2" 1/1
        >312+96 publish _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfnt7755 b"pong:2" 6/6"#]],
    );
}

#[test]
fn nats_py_publishes_and_asks() {
    check(
        include_str!("../recordings/nats_py_core_panel.txt"),
        &expect![[r#"
        >0+173 connect
        >185+27 publish plant.a.temp b"21.5" 4/4
        >212+23 publish plant.b.temp b"" 0/0
        >235+170 publish jobs.x b"\r\nPUB a 3\r\nxyz\r\n" 16/16
        >405+1526 publish plant.a.temp b"xxxxxxxxxxxxxxxx" 1500/1500
        >1971+71 publish ask id=10064777003916658250 b"1" 1/1
        <283+74 deliver _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfm60a3a b"pong:1" 6/6
        >2042+94 publish ask id=11778666352343233803 b"2" 1/1
        <357+97 deliver _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfnt7755 b"pong:2" 6/6
        >2136+74 publish nobody id=5905361642845669239 b"3" 1/1
        <454+89 settled 5905361642845669239 error=no_responders"#]],
    );
}

#[test]
fn nats_py_jetstream() {
    check(
        include_str!("../recordings/nats_py_jetstream.txt"),
        &expect![[r#"
            >0+173 connect
            >602+78 publish orders.a id=15924687494604237111 b"one" 3/3
            <993+98 settled 15924687494604237111 given=ORDERS:1
            >680+113 publish orders.b id=10758518525687900039 named=m-2 settle b"two" 3/3
            <1091+98 settled 10758518525687900039 given=ORDERS:2
            >793+113 publish orders.b id=17164216714707930896 named=m-2 settle b"two" 3/3
            <1189+116 settled 17164216714707930896
            >906+127 publish orders.a id=17482349937774520629 settle b"no" 2/2
            <1305+175 settled 17482349937774520629 error=wrong_last_sequence
            >1033+78 publish elsewhere id=5513204172259008877 b"no" 2/2
            <1480+89 settled 5513204172259008877 error=no_responders
            >1111+80 publish orders.c id=7058058543893172287 b"three" 5/5
            <1569+98 settled 7058058543893172287 given=ORDERS:3
            <2670+71 deliver orders.a id=12579829810236874599 group=work named=ORDERS:1 settle b"one" 3/3
            <2741+106 deliver orders.b id=9745600725776404512 group=work named=ORDERS:2 settle b"two" 3/3
            <2847+73 deliver orders.c id=15145247154474561535 group=work named=ORDERS:3 settle b"three" 5/5
            <2847+73 received 3
            >1930+58 ack [12579829810236874599] anywhere
            >1988+62 nack [9745600725776404512] anywhere error=nack
            >2112+114 ack [15145247154474561535] anywhere
            <2989+106 deliver orders.b id=9620241983227765873 group=work named=ORDERS:2 again settle b"two" 3/3
            >2339+63 term [9620241983227765873] anywhere error=term
            <4426+71 deliver orders.a id=6732358075701506123 group=push named=ORDERS:1 settle b"one" 3/3
            >3748+58 ack [6732358075701506123] anywhere
            <5191+77 deliver orders.c id=554592281867140751 group=PoPLTPck named=ORDERS:3 b"three" 5/5"#]],
    );
}

#[test]
fn nats_py_without_permission() {
    check(
        include_str!("../recordings/nats_py_permissions.txt"),
        &expect![[r#"
        >0+202 connect
        >214+20 publish secret.x b"1" 1/1
        <292+56 error permissions_violation
        >240+17 subscribe ["secret.>"]
        <354+61 error permissions_violation
        >263+18 publish open.x b"1" 1/1"#]],
    );
}

#[test]
fn nats_py_refused() {
    check(
        include_str!("../recordings/nats_py_refused.txt"),
        &expect![[r#"
        >0+187 connect
        <275+32 connected error=authorization_violation"#]],
    );
}

#[test]
fn nats_go_subscribes_and_answers() {
    check(
        include_str!("../recordings/nats_go_core_workers.txt"),
        &expect![[r#"
        >0+177 connect
        >183+16 subscribe ["plant.>"]
        >199+19 subscribe ["jobs.*"]
        >218+12 subscribe ["ask"]
        <752+23 deliver plant.a b"21.5" 4/4
        <775+108 deliver jobs.x group=crew b"job" 3/3
        <883+55 deliver ask b"0" 1/1
        >236+54 publish _INBOX.gDKrQh32CW7zh0yaKBZ5iq.X8keDsuN b"pong:0" 6/6
        <938+55 deliver ask b"1" 1/1
        >290+54 publish _INBOX.gDKrQh32CW7zh0yaKBZ5iq.fI0vv4ty b"pong:1" 6/6
        <993+55 deliver ask b"2" 1/1
        >344+54 publish _INBOX.gDKrQh32CW7zh0yaKBZ5iq.YPQEumf0 b"pong:2" 6/6"#]],
    );
}

#[test]
fn nats_go_publishes_and_asks() {
    check(
        include_str!("../recordings/nats_go_core_panel.txt"),
        &expect![[r#"
        >0+175 connect
        >181+21 publish plant.a b"21.5" 4/4
        >202+106 publish jobs.x b"job" 3/3
        >348+53 publish ask id=56088697341295844 b"0" 1/1
        <746+56 deliver _INBOX.gDKrQh32CW7zh0yaKBZ5iq.X8keDsuN b"pong:0" 6/6
        >401+53 publish ask id=1975605494458006428 b"1" 1/1
        <802+56 deliver _INBOX.gDKrQh32CW7zh0yaKBZ5iq.fI0vv4ty b"pong:1" 6/6
        >454+53 publish ask id=1728177000654398562 b"2" 1/1
        <858+56 deliver _INBOX.gDKrQh32CW7zh0yaKBZ5iq.YPQEumf0 b"pong:2" 6/6
        >507+55 publish nobody id=900637529059924023 b"" 0/0
        <914+93 settled 900637529059924023 error=no_responders"#]],
    );
}

#[test]
fn nats_go_jetstream() {
    check(
        include_str!("../recordings/nats_go_jetstream.txt"),
        &expect![[r#"
            >0+175 connect
            >645+56 publish go.a id=2322111234154582873 b"one" 3/3
            <1798+74 settled 2322111234154582873 given=GO:1
            >725+36 publish go.b id=15334854473401999250 b"0" 1/1
            >761+36 publish go.b id=16046774557937637965 b"1" 1/1
            >797+36 publish go.b id=16404541928219645424 b"2" 1/1
            <1872+56 settled 15334854473401999250 given=GO:2
            <1928+56 settled 16046774557937637965 given=GO:3
            <1984+56 settled 16404541928219645424 given=GO:4
            >833+105 publish go.a id=13067546197438604320 settle b"no" 2/2
            <2040+152 settled 13067546197438604320 error=wrong_last_sequence
            <2874+63 deliver go.a id=8712009945870968303 group=work named=GO:1 settle b"one" 3/3
            <2937+61 deliver go.b id=17504380328030343540 group=work named=GO:2 settle b"0" 1/1
            <2937+61 received 2
            >1329+78 nack [8712009945870968303] anywhere error=nack
            >1407+78 nack [17504380328030343540] anywhere error=nack
            <2998+63 deliver go.a id=16177505337578484424 group=work named=GO:1 again settle b"one" 3/3
            <3061+61 deliver go.b id=16858473001772258487 group=work named=GO:2 again settle b"0" 1/1
            <3122+61 deliver go.b id=5844877114862700712 group=work named=GO:3 settle b"1" 1/1
            <3183+61 deliver go.b id=2735308208064164718 group=work named=GO:4 settle b"2" 1/1
            >1658+96 ack [16177505337578484424] anywhere
            >1754+57 ack [16858473001772258487] anywhere
            >1811+57 ack [5844877114862700712] anywhere
            >1868+57 ack [2735308208064164718] anywhere
            >1986+10 received 4
            >2921+59 publish $KV.set.k id=2220201524573711403 b"v" 1/1
            <5440+78 settled 2220201524573711403 given=KV_set:1
            <5518+74 deliver $KV.set.k id=16965383038082533118 group=pP7yw0yf named=KV_set:1 b"v" 1/1"#]],
    );
}

#[test]
fn async_nats_subscribes_and_answers() {
    check(
        include_str!("../recordings/async_nats_core_workers.txt"),
        &expect![[r#"
        >0+257 connect
        >263+15 subscribe ["plant.*"]
        >278+19 subscribe ["jobs.>"]
        >297+11 subscribe ["ask"]
        <746+23 deliver plant.a b"21.5" 4/4
        <769+108 deliver jobs.x group=crew b"job" 3/3
        <877+69 deliver ask b"1" 1/1
        >308+66 publish _INBOX.dgAgy4oLiqEkB0mMNGPsvq.dgAgy4oLiqEkB0mMNGPsrT b"pong" 4/4
        <946+69 deliver ask b"1" 1/1
        >374+66 publish _INBOX.dgAgy4oLiqEkB0mMNGPsvq.dgAgy4oLiqEkB0mMNGPt0D b"pong" 4/4"#]],
    );
}

#[test]
fn async_nats_publishes_and_asks() {
    check(
        include_str!("../recordings/async_nats_core_panel.txt"),
        &expect![[r#"
        >0+255 connect
        >261+21 publish plant.a b"21.5" 4/4
        >282+106 publish jobs.x b"job" 3/3
        >427+67 publish ask id=11555093271233743632 b"1" 1/1
        <746+68 deliver _INBOX.dgAgy4oLiqEkB0mMNGPsvq.dgAgy4oLiqEkB0mMNGPsrT b"pong" 4/4
        >494+67 publish ask id=16707668339198679242 b"1" 1/1
        <814+68 deliver _INBOX.dgAgy4oLiqEkB0mMNGPsvq.dgAgy4oLiqEkB0mMNGPt0D b"pong" 4/4
        >561+70 publish nobody id=1864866860654785791 b"1" 1/1
        <882+107 settled 1864866860654785791 error=no_responders"#]],
    );
}

#[test]
fn async_nats_jetstream() {
    check(
        include_str!("../recordings/async_nats_jetstream.txt"),
        &expect![[r#"
            >0+255 connect
            >664+68 publish rs.a id=13928617781603902301 b"0" 1/1
            <1826+88 settled 13928617781603902301 given=RS:1
            >732+68 publish rs.a id=15349643308736882796 b"1" 1/1
            <1914+88 settled 15349643308736882796 given=RS:2
            >800+68 publish rs.a id=11281637107814497723 b"2" 1/1
            <2002+88 settled 11281637107814497723 given=RS:3
            <2786+61 deliver rs.a id=1476400884322743440 group=work named=RS:1 settle b"0" 1/1
            <2847+61 deliver rs.a id=2897643851679475282 group=work named=RS:2 settle b"1" 1/1
            <2847+61 received 2
            >1253+57 nack [1476400884322743440] anywhere error=nack
            >1310+57 nack [2897643851679475282] anywhere error=nack
            <2908+61 deliver rs.a id=12435536224096456681 group=work named=RS:1 again settle b"0" 1/1
            <2969+61 deliver rs.a id=6636436490650318262 group=work named=RS:2 again settle b"1" 1/1
            <3030+61 deliver rs.a id=1343783822951911110 group=work named=RS:3 settle b"2" 1/1
            >1593+87 ack [12435536224096456681] anywhere
            >1680+53 ack [6636436490650318262] anywhere
            >1733+53 ack [1343783822951911110] anywhere
            >1795+9 received 3"#]],
    );
}
