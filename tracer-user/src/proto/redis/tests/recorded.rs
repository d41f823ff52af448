//! Conversations of real clients with Redis 7.0.15.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers, assert_same_however_split, heard, recording};

/// `lost`: what one lost call may cost beyond what it carried: the answers whose order is not known until there was a silence, and there is none
/// in these recordings.
fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Redis, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Redis, &calls);
    assert_recovers(System::Redis, &calls, lost);
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
        40,
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
        40,
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
