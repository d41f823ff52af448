//! Conversations of real clients with Redis 7.0.15.

use expect_test::{Expect, expect};

use super::essence;
use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers_but, assert_same_however_split, heard, recording};

/// `lost`: what one lost call may cost beyond what it carried: the answers whose order is not known until there was a silence, and there is none
/// in these recordings.
fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Redis, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Redis, &calls);
    assert_recovers_but(System::Redis, &calls, lost, |op| Some(essence(op)));
}

#[test]
fn a_subscriber_of_python() {
    check(
        include_str!("../recordings/python_resp2_subscriber.txt"),
        0,
        &expect![[r#"
        >150+32 subscribe ["plant/a"]
        >182+34 subscribe ["plant/*"]
        <185+40 deliver plant/a b"21.5" 4/4
        <225+54 deliver plant/a b"21.5" 4/4"#]],
    );
}

#[test]
fn a_subscriber_of_python_with_pushes() {
    check(
        include_str!("../recordings/python_resp3_subscriber.txt"),
        0,
        &expect![[r#"
        >269+32 subscribe ["plant/a"]
        >301+34 subscribe ["plant/*"]
        <395+40 deliver plant/a b"21.5" 4/4
        <435+54 deliver plant/a b"21.5" 4/4"#]],
    );
}

#[test]
fn streams_lists_and_pipelines_of_python() {
    check(
        include_str!("../recordings/python_resp2.txt"),
        60,
        &expect![[r#"
        >150+40 publish plant/a id=86402662400 settle b"21.5" 4/4
        <111+4 settled 86402662400
        >190+48 publish s id=87073751040 settle b"21.5" 4/4
        <115+22 settled 87073751040 given=s:1795303863881-0
        >287+175 publish s id=88701140992 settle b"{\"temp\":\"22\",\"un" 27/5
        <142+22 settled 88701140992 given=s:1795303863882-0
        <164+69 deliver s id=1039770829847834303 group=g named=s:1795303863881-0 settle b"21.5" 4/4
        <164+216#1 deliver s id=6733003738746809349 group=g named=s:1795303863882-0 settle b"{\"temp\":\"22\",\"un" 27/5
        <164+216 received 2
        >575+50 ack [1039770829847834303] anywhere
        <384+166 deliver s id=6733003738746809349 group=g named=s:1795303863882-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        <550+151 deliver s id=6733003738746809349 group=g named=s:1795303863882-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        <701+164 deliver s id=6733003738746809349 group=g named=s:1795303863882-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        >820+50 ack [6733003738746809349] anywhere
        <878+69 deliver s named=s:1795303863881-0 b"21.5" 4/4
        <878+216#1 deliver s named=s:1795303863882-0 b"{\"temp\":\"22\",\"un" 27/5
        <878+216 received 2
        >1073+31 publish c id=101888032768 settle b"0" 1/1
        >1131+43 publish s2 id=102861111296 settle b"0" 1/1
        >1174+31 publish c id=103582531584 settle b"1" 1/1
        >1232+43 publish s2 id=104555610112 settle b"1" 1/1
        >1275+31 publish c id=105277030400 settle b"2" 1/1
        >1333+43 publish s2 id=106250108928 settle b"2" 1/1
        >1376+31 publish c id=106971529216 settle b"3" 1/1
        >1434+43 publish s2 id=107944607744 settle b"3" 1/1
        >1477+31 publish c id=108666028032 settle b"4" 1/1
        >1535+43 publish s2 id=109639106560 settle b"4" 1/1
        >1578+36 publish l id=110360526848 settle b"x" 1/1
        >1578+36#1 publish l id=110360526849 settle b"y" 1/1
        <1318+4 settled 101888032768
        <1327+22 settled 102861111296 given=s2:1795303863986-0
        <1349+4 settled 103582531584
        <1358+22 settled 104555610112 given=s2:1795303863986-1
        <1380+4 settled 105277030400
        <1389+22 settled 106250108928 given=s2:1795303863986-2
        <1411+4 settled 106971529216
        <1420+22 settled 107944607744 given=s2:1795303863986-3
        <1442+4 settled 108666028032
        <1451+22 settled 109639106560 given=s2:1795303863986-4
        <1473+4 settled 110360526848
        <1473+4#1 settled 110360526849
        >1649+29 publish l id=111551709184 settle b"z" 1/1
        >1678+32 publish c id=112038248448 settle b"in" 2/2
        >1710+44 publish s2 id=112575119360 settle b"tx" 2/2
        <1534+45 settled 111551709184
        <1534+45 settled 112038248448
        <1534+45 settled 112575119360 given=s2:1795303863987-0
        <1534+45 deliver l b"y" 1/1
        <1579+18 deliver l b"z" 1/1
        <1597+7 deliver l b"x" 1/1
        <1609+18 deliver m b"x" 1/1
        >1988+43 publish l id=117239185408 settle b"1" 1/1
        >1988+43#1 publish l id=117239185409 settle b"2" 1/1
        >1988+43#2 publish l id=117239185410 settle b"3" 1/1
        <1632+4 settled 117239185408
        <1632+4#1 settled 117239185409
        <1632+4#2 settled 117239185410
        <1636+29 deliver l b"1" 1/1
        <1636+29#1 deliver l b"2" 1/1
        <1636+29 received 2
        <1665+22 deliver l b"3" 1/1
        >2154+29 publish k id=120024203264 settle b"x" 1/1
        <1687+68 settled 120024203264 error=WRONGTYPE
        <1755+86 error NOGROUP
        >2262+33 publish none id=121836142592 settle b"x" 1/1
        <1841+4 settled 121836142592 error=no_such_list
        >2309+44 publish s id=122624671744 settle b"b" 1/1
        <1902+83 settled 122624671744 error=ERR"#]],
    );
}

#[test]
fn streams_lists_and_pipelines_of_python_in_resp3() {
    check(
        include_str!("../recordings/python_resp3.txt"),
        60,
        &expect![[r#"
        >269+40 publish plant/a id=88399151104 settle b"21.5" 4/4
        <321+4 settled 88399151104
        >309+48 publish s id=89070239744 settle b"21.5" 4/4
        <325+22 settled 89070239744 given=s:1795303865169-0
        >406+175 publish s id=90697629696 settle b"{\"temp\":\"22\",\"un" 27/5
        <352+22 settled 90697629696 given=s:1795303865170-0
        <374+65 deliver s id=17281749488228146862 group=g named=s:1795303865169-0 settle b"21.5" 4/4
        <374+212#1 deliver s id=6611448365330725481 group=g named=s:1795303865170-0 settle b"{\"temp\":\"22\",\"un" 27/5
        <374+212 received 2
        >694+50 ack [17281749488228146862] anywhere
        <590+162 deliver s id=6611448365330725481 group=g named=s:1795303865170-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        <752+151 deliver s id=6611448365330725481 group=g named=s:1795303865170-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        <903+164 deliver s id=6611448365330725481 group=g named=s:1795303865170-0 again settle b"{\"temp\":\"22\",\"un" 27/5
        >939+50 ack [6611448365330725481] anywhere
        <1078+65 deliver s named=s:1795303865169-0 b"21.5" 4/4
        <1078+212#1 deliver s named=s:1795303865170-0 b"{\"temp\":\"22\",\"un" 27/5
        <1078+212 received 2
        >1192+31 publish c id=103884521472 settle b"0" 1/1
        >1250+43 publish s2 id=104857600000 settle b"0" 1/1
        >1293+31 publish c id=105579020288 settle b"1" 1/1
        >1351+43 publish s2 id=106552098816 settle b"1" 1/1
        >1394+31 publish c id=107273519104 settle b"2" 1/1
        >1452+43 publish s2 id=108246597632 settle b"2" 1/1
        >1495+31 publish c id=108968017920 settle b"3" 1/1
        >1553+43 publish s2 id=109941096448 settle b"3" 1/1
        >1596+31 publish c id=110662516736 settle b"4" 1/1
        >1654+43 publish s2 id=111635595264 settle b"4" 1/1
        >1697+36 publish l id=112357015552 settle b"x" 1/1
        >1697+36#1 publish l id=112357015553 settle b"y" 1/1
        <1508+4 settled 103884521472
        <1517+22 settled 104857600000 given=s2:1795303865195-0
        <1539+4 settled 105579020288
        <1548+22 settled 106552098816 given=s2:1795303865195-1
        <1570+4 settled 107273519104
        <1579+22 settled 108246597632 given=s2:1795303865195-2
        <1601+4 settled 108968017920
        <1610+22 settled 109941096448 given=s2:1795303865196-0
        <1632+4 settled 110662516736
        <1641+22 settled 111635595264 given=s2:1795303865196-1
        <1663+4 settled 112357015552
        <1663+4#1 settled 112357015553
        >1768+29 publish l id=113548197888 settle b"z" 1/1
        >1797+32 publish c id=114034737152 settle b"in" 2/2
        >1829+44 publish s2 id=114571608064 settle b"tx" 2/2
        <1724+45 settled 113548197888
        <1724+45 settled 114034737152
        <1724+45 settled 114571608064 given=s2:1795303865196-2
        <1724+45 deliver l b"y" 1/1
        <1769+18 deliver l b"z" 1/1
        <1787+7 deliver l b"x" 1/1
        <1797+18 deliver m b"x" 1/1
        >2107+43 publish l id=119235674112 settle b"1" 1/1
        >2107+43#1 publish l id=119235674113 settle b"2" 1/1
        >2107+43#2 publish l id=119235674114 settle b"3" 1/1
        <1818+4 settled 119235674112
        <1818+4#1 settled 119235674113
        <1818+4#2 settled 119235674114
        <1822+29 deliver l b"1" 1/1
        <1822+29#1 deliver l b"2" 1/1
        <1822+29 received 2
        <1851+22 deliver l b"3" 1/1
        >2273+29 publish k id=122020691968 settle b"x" 1/1
        <1873+68 settled 122020691968 error=WRONGTYPE
        <1941+86 error NOGROUP
        >2381+33 publish none id=123832631296 settle b"x" 1/1
        <2027+4 settled 123832631296 error=no_such_list
        >2428+44 publish s id=124621160448 settle b"b" 1/1
        <2088+83 settled 124621160448 error=ERR"#]],
    );
}

#[test]
fn ioredis_of_node() {
    check(
        include_str!("../recordings/ioredis.txt"),
        60,
        &expect![[r#"
        >184+33 publish n/a id=86973087744 settle b"1" 1/1
        <5274+4 settled 86973087744
        >244+36 publish n/b id=87979720704 settle b"\0\r\n\xff" 4/4
        <5283+4 settled 87979720704
        >280+43 publish ns id=88583700480 settle b"1" 1/1
        >323+43 publish ns id=89305120768 settle b"2" 1/1
        >366+43 publish ns id=90026541056 settle b"3" 1/1
        >409+43 publish ns id=90747961344 settle b"4" 1/1
        <5287+22 settled 88583700480 given=ns:1795304236433-0
        <5309+22 settled 89305120768 given=ns:1795304236434-0
        <5331+22 settled 90026541056 given=ns:1795304236434-1
        <5353+22 settled 90747961344 given=ns:1795304236434-2
        <5380+60 deliver ns id=4865195616764596712 group=ng named=ns:1795304236433-0 settle b"1" 1/1
        <5380+104#1 deliver ns id=90698069199324015 group=ng named=ns:1795304236434-0 settle b"2" 1/1
        <5380+148#2 deliver ns id=1817491430860660772 group=ng named=ns:1795304236434-1 settle b"3" 1/1
        <5380+148 received 3
        >597+96 ack [4865195616764596712, 90698069199324015, 1817491430860660772] anywhere
        >708+37 publish nl id=95764348928 settle b"a" 1/1
        >708+37#1 publish nl id=95764348929 settle b"b" 1/1
        >745+33 publish n/c id=96385105920 settle b"m" 1/1
        >778+58 publish ns id=96938754048 settle b"{\"v\":\"tx\",\"w\":\"2" 18/3
        <5564+34 settled 95764348928
        <5564+34#1 settled 95764348929
        <5564+34 settled 96385105920
        <5564+34 settled 96938754048 given=ns:1795304236484-0
        <5617+7 deliver nl b"a" 1/1
        <5624+19 deliver nl b"b" 1/1
        >1119+29 publish x id=102659784704 settle b"y" 1/1
        <5649+68 settled 102659784704 error=WRONGTYPE"#]],
    );
}

#[test]
fn a_subscriber_of_ioredis() {
    check(
        include_str!("../recordings/ioredis_subscriber.txt"),
        10,
        &expect![[r#"
        >188+28 subscribe ["n/a"]
        >216+30 subscribe ["n/*"]
        <5340+33 deliver n/a b"1" 1/1
        <5373+43 deliver n/a b"1" 1/1
        <5416+46 deliver n/b b"\0\r\n\xff" 4/4
        <5462+43 deliver n/c b"m" 1/1"#]],
    );
}

#[test]
fn redis_of_node() {
    check(
        include_str!("../recordings/node_redis_resp3.txt"),
        60,
        &expect![[r#"
        >260+33 publish n/a id=88248156160 settle b"1" 1/1
        >293+36 publish shard id=88801804288 settle b"2" 1/1
        <317+4 settled 88248156160
        <321+4 settled 88801804288
        >329+58 publish ns3 id=89405784064 settle b"{\"a\":\"1\",\"b\":\"2\"" 17/2
        <325+22 settled 89405784064 given=ns3:1795304273065-0
        >387+373 publish ns3 id=90378862592 settle b"xxxxxxxxxxxxxxxx" 300/300
        <347+22 settled 90378862592 given=ns3:1795304273077-0
        <374+75 deliver ns3 id=7468223681812571196 group=g named=ns3:1795304273065-0 settle b"{\"a\":\"1\",\"b\":\"2\"" 17/2
        <374+448#1 deliver ns3 id=7172964202670582358 group=g named=ns3:1795304273077-0 settle b"xxxxxxxxxxxxxxxx" 300/300
        <374+448 received 2
        >925+74 ack [7468223681812571196, 7172964202670582358] anywhere
        >1014+36 publish q id=100898177024 settle b"1" 1/1
        >1014+36#1 publish q id=100898177025 settle b"2" 1/1
        <849+15 settled 100898177024
        <849+15#1 settled 100898177025
        <849+15 deliver q b"1" 1/1
        <864+18 deliver q b"2" 1/1"#]],
    );
}

#[test]
fn a_subscriber_of_node() {
    check(
        include_str!("../recordings/node_redis_resp3_subscriber.txt"),
        10,
        &expect![[r#"
        >260+28 subscribe ["n/a"]
        >288+32 subscribe ["shard"]
        <385+33 deliver n/a b"1" 1/1
        <418+36 deliver shard b"2" 1/1"#]],
    );
}

#[test]
fn what_is_typed() {
    // That of a MULTI that was lost nothing tells, so a publish that was then discarded would be heard.
    let calls = recording(include_str!("../recordings/inline.txt"));
    assert_same_however_split(System::Redis, &calls);
    expect![[r#"
        >20+26 publish ca id=84221624320 settle b"in lineA" 8/8
        <14+4 settled 84221624320
        >53+14 publish cl id=84775272448 settle b"a" 1/1
        >53+14#1 publish cl id=84775272449 settle b"b" 1/1
        >67+14 publish ca id=85010153472 settle b"x" 1/1
        <41+12 settled 84775272448
        <41+12#1 settled 84775272449
        <41+12 settled 85010153472
        >137+20 publish ca b"skipped" 7/7
        <72+18 deliver cl b"b" 1/1
        <72+18#1 deliver cl b"a" 1/1
        <72+18 received 2
        >186+16 publish ca b"off" 3/3
        >219+12 publish cl id=87560290304 settle b"z" 1/1
        <95+4 settled 87560290304
        >231+6 disconnect clean=true"#]]
    .assert_eq(&heard(System::Redis, Role::Client, &calls).join("\n"));
}

#[test]
fn a_subscriber_of_redis_cli() {
    check(
        include_str!("../recordings/redis_cli_subscriber.txt"),
        10,
        &expect![[r#"
        >22+27 subscribe ["ca"]
        <177+36 deliver ca b"hello" 5/5"#]],
    );
}

#[test]
fn monitor_of_redis_cli() {
    check(include_str!("../recordings/redis_cli_monitor.txt"), 10, &expect![[""]]);
}

#[test]
fn redis_of_rust() {
    check(
        include_str!("../recordings/rust.txt"),
        60,
        &expect![[r#"
        >171+43 publish rs id=86754983936 settle b"1" 1/1
        <257+22 settled 86754983936 given=rs:1795304381538-0
        >214+33 publish r/a id=87476404224 settle b"1" 1/1
        >247+43 publish rs id=88030052352 settle b"2" 1/1
        >290+37 publish rl id=88751472640 settle b"a" 1/1
        >290+37#1 publish rl id=88751472641 settle b"b" 1/1
        <279+4 settled 87476404224
        <283+22 settled 88030052352 given=rs:1795304381538-1
        <305+4 settled 88751472640
        <305+4#1 settled 88751472641
        >342+33 publish r/a id=89623887872 settle b"2" 1/1
        >375+30 publish rl id=90177536000 settle b"c" 1/1
        <332+12 settled 89623887872
        <332+12 settled 90177536000
        <349+104 deliver rs id=13562410321958958822 group=rg named=rs:1795304381538-0 settle b"1" 1/1
        <349+104#1 deliver rs id=1757301674898765918 group=rg named=rs:1795304381538-1 settle b"2" 1/1
        <349+104 received 2
        >583+52 ack [13562410321958958822] anywhere
        <457+19 deliver rl b"b" 1/1"#]],
    );
}
