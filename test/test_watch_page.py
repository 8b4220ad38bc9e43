# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import resource
import socket
import struct
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from chromium import empty_page, needs_chromium
from watched import image_of, watched_frame

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.watch.newest_frame import NewestFrame
from posegrasp_ros.watch.page_guard import PageGuard
from posegrasp_ros.watch.page_message import frame_message, object_message
from posegrasp_ros.watch.snapshots import Snapshots
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_picture import WatchPicture

if importlib.util.find_spec('aiohttp') is None:
    pytest.skip("aiohttp is not installed: pip install '.[watch]'", allow_module_level=True)

import aiohttp

from posegrasp_ros.watch import page_server, served_page
from posegrasp_ros.watch.frame_page import FramePage
from posegrasp_ros.watch.page_server import MOST_CONNECTIONS, PageServer

MOST_PAGES = FramePage.most



@pytest.fixture
def newest():
    newest = NewestFrame()
    newest.take(watched_frame(1))
    return newest


@pytest.fixture
def serve(newest, scripted_model, tmp_path):
    """Start servers; none outlives the test."""
    card, running = load_model_card(scripted_model), []
    draws = WatchPicture(card.mesh, None)

    def start(**options) -> PageServer:
        shown = FramePage(newest, object_message('clip.mp4', card, ['assumed']),
                          lambda frame: frame_message(frame, card.mesh, None), draws,
                          Snapshots(tmp_path / 'snapshots', 'clip.mp4', card, draws))
        running.append(PageServer(shown, **{'port': 0, **options}))
        return running[-1]

    yield start
    for server in running:
        server.close()


def place(server: PageServer) -> tuple[str, int]:
    url = urlsplit(server.url)
    return url.hostname, url.port


def asked(server: PageServer, path: str = '/', method: str = 'GET', **headers: str) -> tuple[int, bytes]:
    """Status and body; the path goes out as it is."""
    host, port = place(server)
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.putrequest(method, path, skip_host='Host' in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def unpacked(data: bytes) -> tuple[dict, np.ndarray]:
    length = struct.unpack('>I', data[:4])[0]
    picture = np.frombuffer(data[4 + length:], np.uint8)
    return json.loads(data[4:4 + length]), cv2.imdecode(picture, cv2.IMREAD_COLOR)


def test_the_page_needs_nothing_from_elsewhere(serve):
    server = serve()
    assert server.url.startswith('http://127.0.0.1:')
    for path in ('/', '/page.js', '/watch.js', '/watch.css'):
        status, body = asked(server, path)
        assert status == 200 and b'://' not in body.replace(b'http://www.w3.org', b''), path


def test_a_page_is_told_of_the_object_and_then_of_frames_and_keeps_one(serve, newest, tmp_path):
    server = serve()

    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(f'{server.url}frames') as page:
            greeting = await page.receive_json(timeout=5)
            await page.send_str('next')
            first, picture = unpacked(await page.receive_bytes(timeout=5))
            for number in range(2, 6):
                newest.take(watched_frame(number))
            with pytest.raises(asyncio.TimeoutError):
                await page.receive(timeout=0.3)  # it has not asked for the next
            await page.send_str('next')
            return greeting, first, picture, unpacked(await page.receive_bytes(timeout=5))[0]

    async def keep():
        async with aiohttp.ClientSession() as session, session.ws_connect(f'{server.url}frames') as page:
            await page.receive_json(timeout=5)
            await page.send_str('next')
            number = unpacked(await page.receive_bytes(timeout=5))[0]['number']
            await page.send_str(f'snapshot {number}')
            kept = await page.receive_json(timeout=5)
            await page.send_str(f'snapshot {number}')
            return kept, await page.receive_json(timeout=5)

    greeting, first, picture, later = asyncio.run(talk())
    assert greeting['model'] == 'box' and greeting['lines'] == ['assumed'] and len(greeting['edges']) >= 12
    assert first['number'] == 1 and later['number'] == 5 and picture.shape == (96, 128, 3)
    pose = first['poses'][0]
    assert pose['position_mm'][2] == pytest.approx(500) and pose['sigma_mm'] == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(np.linalg.norm(pose['ellipsoid'], axis=0), [2.795e-3, 5.59e-3, 8.385e-3], rtol=0.05)
    kept, again = asyncio.run(keep())
    case = json.loads(Path(kept['path']).read_text())
    assert case['source'] == 'clip.mp4' and case['poses'][0]['position_m'][2] == pytest.approx(0.5)
    assert case['poses'][0]['score'] == 0.9 and case['perception']['reason'] == ''
    assert case['camera']['width'] == 128
    image = cv2.imread(str(tmp_path / 'snapshots' / case['image']))
    np.testing.assert_array_equal(image, image_of(100))
    assert again['path'] != kept['path'] and Path(again['path']).exists()


def test_a_snapshot_that_cannot_be_written_is_told_on_the_page(serve, tmp_path):
    (tmp_path / 'snapshots').write_text('a file')
    server = serve()

    async def keep():
        async with aiohttp.ClientSession() as session, session.ws_connect(f'{server.url}frames') as page:
            await page.receive_json(timeout=5)
            await page.send_str('next')
            await page.receive_bytes(timeout=5)
            await page.send_str('snapshot 1')
            return await page.receive_json(timeout=5)

    assert 'exists' in asyncio.run(keep())['problem']


def test_that_the_source_is_over_is_told(serve, newest):
    server = serve()

    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(f'{server.url}frames') as page:
            await page.receive_json(timeout=5)
            said = []
            for _ in range(2):
                await page.send_str('next')
                said.append(unpacked(await page.receive_bytes(timeout=5))[0]['is_over'])
                newest.end()
            return said

    assert asyncio.run(talk()) == [False, True]


@pytest.mark.parametrize('headers', [
    {'Host': 'evil.example'}, {'Host': 'evil.example:8470'}, {'Host': '127.0.0.1.evil.example'}, {'Host': ''},
    {'Host': '192.168.0.1'}, {'Host': 'localhost', 'Origin': 'http://evil.example'},
    {'Host': 'localhost', 'Origin': 'null'}, {'Host': 'localhost', 'Origin': 'http://localhost:1'},
    {'Host': 'localhost', 'Origin': 'https://localhost'}])
@pytest.mark.parametrize('path', ['/', '/frames'])
def test_other_hosts_and_origins_are_refused(serve, headers, path):
    assert asked(serve(), path, **headers)[0] == 403


@pytest.mark.parametrize('headers', [
    {'Host': 'localhost:9000'}, {'Host': '[::1]:8470'}, {'Host': 'LOCALHOST'},
    {'Host': 'localhost:9000', 'Origin': 'http://localhost:9000'}])
def test_the_names_of_this_machine_are_answered(serve, headers):
    assert asked(serve(), **headers)[0] == 200


def test_a_foreign_page_gets_no_frames(serve):
    server = serve()

    async def talk():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f'{server.url}frames', origin='http://evil.example')
            return refused.value.status

    assert asyncio.run(talk()) == 403


@pytest.mark.parametrize('path', [
    '/../../../../etc/passwd', '/..%2f..%2fsetup.py', '/%2e%2e/page_server.py', '/templates/index.html',
    '//etc/passwd', '/watch.js/../../page_server.py', '/watch.js%00', '/page_server.py', '/\\..\\x'])
def test_no_path_leads_anywhere_else(serve, path):
    status, body = asked(serve(), path)
    assert status in (400, 404) and b'root:' not in body and b'import' not in body


def test_only_reading_is_answered(serve):
    server = serve()
    assert [asked(server, '/', method)[0] for method in ('POST', 'PUT', 'DELETE', 'OPTIONS')] == [405] * 4
    assert asked(server, '/frames')[0] == 400


def test_on_an_open_address_the_token_is_needed(serve):
    server = serve(host='0.0.0.0')
    root = urlsplit(server.url).path
    assert len(root) > 20 and asked(server, root)[0] == 200 and asked(server, f'{root}watch.js')[0] == 200
    wrong = root[:-2] + ('a/' if root[-2] != 'a' else 'b/')
    for path in ('/', '/watch.js', '/frames', wrong, f'{wrong}frames', root[:-1], root[:-3] + '/', '/%ff/',
                 '/%c3%a9/'):
        assert asked(server, path)[0] in (400, 403), path
    assert asked(server, root, Host='evil.example')[0] == 403
    assert serve(host='0.0.0.0').url != server.url


def test_a_name_that_the_server_was_given_is_its_own():
    guard = PageGuard.of('robot.local')
    assert guard.token and guard.refusal(['robot.local:8470'], ['http://robot.local:8470']) == ''
    assert guard.refusal(['other.local'], []) == 'Host' and guard.refusal(['a', 'b'], []) == 'Host'
    assert PageGuard.of('0.0.0.0').refusal(['192.168.0.7:1'], []) == ''
    assert PageGuard.of('0.0.0.0').refusal(['evil.example'], []) == 'Host'
    assert PageGuard.of('::1').token == PageGuard.of('localhost').token == PageGuard.of('127.0.0.2').token == ''


def test_a_port_that_is_taken_is_told_and_the_default_gives_way(serve, monkeypatch):
    taken = place(serve())[1]
    with pytest.raises(WatchError, match=rf'127\.0\.0\.1, port {taken}: expected an address of this machine'):
        serve(port=taken)
    monkeypatch.setattr(page_server, 'DEFAULT_PORT', taken)
    assert place(serve(port=None))[1] not in (0, taken)
    with pytest.raises(WatchError, match=r'nowhere\.invalid'):
        serve(host='nowhere.invalid')
    with pytest.raises(WatchError, match='got an empty one'):
        serve(host='')
    assert asked(serve(host='localhost'))[0] == 200


def slowest_ms(newest: NewestFrame, count: int = 300) -> float:
    """Of sharing frames: the 99th percentile."""
    taken_ms = []
    frame = watched_frame(2)
    for _ in range(count):
        start = time.perf_counter()
        newest.take(frame)
        taken_ms.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.001)
    return float(np.percentile(taken_ms, 99))


def handshaken(server: PageServer) -> socket.socket:
    """A page that takes nothing in."""
    host, port = place(server)
    connection = socket.create_connection((host, port), timeout=5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    connection.sendall((f'GET /frames HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n'
                        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n').encode())
    assert connection.recv(12) == b'HTTP/1.1 101'
    connection.sendall(b'\x81\x84\0\0\0\0next')
    return connection


def until(holds, within_s: float = 10.0) -> bool:
    end_s = time.monotonic() + within_s
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.02)
    return holds()


def test_slow_pages_cost_the_loop_nothing_and_are_closed(serve, newest, monkeypatch):
    monkeypatch.setattr(served_page, 'PATIENCE_S', 2.0)
    server = serve()
    slow = [handshaken(server) for _ in range(MOST_PAGES)]
    assert until(lambda: server.pages == MOST_PAGES)
    assert asked(server, '/frames', Upgrade='websocket', Connection='Upgrade', **{
        'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA=='})[0] == 503
    assert slowest_ms(newest) < 5.0
    assert until(lambda: server.pages == 0) and asked(server)[0] == 200
    for each in slow:
        each.close()


def test_idle_connections_are_closed_and_the_page_still_comes(serve, newest, monkeypatch):
    monkeypatch.setattr(page_server, 'IDLE_S', 1.0)
    server = serve()
    page = handshaken(server)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    idle = []
    for number in range(500):
        idle.append(socket.create_connection(place(server), timeout=5))
        if number % 3 == 0:
            idle[-1].sendall(b'GET / HTTP/1.1\r\nHost: loc')  # never ends
    assert until(lambda: server.connections <= MOST_CONNECTIONS)
    assert asked(server)[0] == 200 and slowest_ms(newest, 100) < 5.0
    assert until(lambda: server.connections == 1) and server.pages == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 30_000
    for each in (*idle, page):
        each.close()
    assert until(lambda: server.connections == 0)


def test_closing_the_server_ends_its_pages(serve):
    server = serve()
    page = handshaken(server)
    start = time.monotonic()
    server.close()
    assert time.monotonic() - start < 5
    with pytest.raises(OSError):
        socket.create_connection(place(server), timeout=1)
    page.close()


@pytest.mark.slow
@needs_chromium
def test_a_browser_shows_frames_and_keeps_a_snapshot(serve, newest, tmp_path):
    server = serve()
    with empty_page() as (page, problems, urls):
        page.goto(server.url)
        page.wait_for_selector('#rows tr')
        newest.take(watched_frame(7, level=5))
        page.wait_for_selector('#rows tr:nth-child(2)')
        assert 'no_detection' in page.inner_text('#rows tr') and page.inner_text('#state') == 'no_detection'
        newest.take(watched_frame(8))
        page.wait_for_selector('#rows tr:nth-child(3)')
        page.click('#snapshot')
        page.wait_for_selector('#kept:has-text("kept: ")')
        colours = page.evaluate("""[...document.getElementById('space').getContext('2d').getImageData(
            0, 0, 200, 200).data].filter(value => value).length""")
        assert colours > 0 and problems == [] and all(url.startswith(server.url) for url in urls)
    assert len(list((tmp_path / 'snapshots').glob('*.json'))) == 1
