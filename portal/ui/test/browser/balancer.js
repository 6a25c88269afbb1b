// A load balancer as plants put it before their portals: it hands connections out in turn, WebSockets by
// a turn of their own, and leaves out a portal that does not answer.
import { once } from 'node:events';
import net from 'node:net';

/**
 * startBalancer returns {url, sockets, mute, close}: sockets counts the WebSockets that each port was given; after
 * mute() every connection stays open and nothing goes through, as when a cable is pulled behind a switch. With an
 * operator it signs all requests in under that name.
 */
export async function startBalancer(ports, { operator = '' } = {}) {
  const turns = { request: 0, socket: 0 };
  const sockets = Object.fromEntries(ports.map((p) => [p, 0]));
  const open = new Set();
  let muted = false;
  const server = net.createServer((client) => {
    open.add(client);
    client.on('close', () => open.delete(client));
    client.on('error', () => {});
    client.once('data', (came) => {
      client.pause();
      if (muted) return;
      const first = operator ? signed(came, operator) : came;
      const kind = /^upgrade: *websocket/im.test(first.toString('latin1')) ? 'socket' : 'request';
      const start = turns[kind]++;
      connect(0);
      function connect(tries) {
        if (tries === ports.length) return client.destroy();
        const port = ports[(start + tries) % ports.length];
        const portal = net.connect(port, '127.0.0.1');
        let up = false;
        portal.on('error', () => (up ? client.destroy() : connect(tries + 1)));
        portal.once('connect', () => {
          up = true;
          if (kind === 'socket') sockets[port]++;
          portal.write(first);
          client.pipe(portal).pipe(client);
          client.on('mute', () => [client, portal].forEach((c) => c.unpipe().pause()));
          client.on('close', () => portal.destroy());
          portal.on('close', () => client.destroy());
        });
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    sockets,
    mute() {
      muted = true;
      for (const c of open) c.emit('mute');
    },
    close() {
      server.close();
      for (const c of open) c.destroy();
    },
  };
}

/** signed adds the header of who is signed in, and asks for a connection of its own for the next request. */
function signed(request, operator) {
  const [head, ...body] = request.toString('latin1').split('\r\n\r\n');
  const more = head.replace('\r\n', `\r\nX-Operator: ${operator}\r\n`).replace(/^connection: keep-alive/im, 'Connection: close');
  return Buffer.from([more, ...body].join('\r\n\r\n'), 'latin1');
}
