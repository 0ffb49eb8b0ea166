// A stand-in SMSC: node-smpp, which shares no code with what it tests.
//
// One process holds any number of them, each with a number.  Orders come as JSON lines on standard
// input: the first to a number starts it, later ones change how it behaves; what happens leaves as
// JSON lines on standard output.  It ends when its standard input does.

const readline = require("readline");
const smpp = require("smpp");

function start(number, options) { // {password, key, cert}
  const behaviour = {
    bind: 0, // status of the answer, or "silent"
    submit: 0, // the same, or "hang up", or the name of a PDU to send for an answer
    hold: 1, // answer once so many have come, the last one first
    deliver: null, // a deliver_sm to put before each answer to a submit_sm
    enquire: true, // answer enquire_link
    per_second: Infinity, // more submit_sm than that in any second are throttled
  };
  const sessions = new Set();
  let held = [];
  let messages = 0;
  let taken = []; // when, ms

  const tell = (event, facts = {}) => console.log(JSON.stringify({ smsc: number, event, ...facts }));

  function bind(session, pdu) {
    tell("bind", { command: pdu.command, system_id: pdu.system_id, system_type: pdu.system_type });
    if (behaviour.bind === "silent") return;
    const wrong = pdu.password !== options.password;
    session.send(pdu.response({ command_status: wrong ? smpp.ESME_RINVPASWD : behaviour.bind }));
  }

  function submit(session, pdu) {
    const now = performance.now();
    taken = taken.filter((one) => one > now - 1000);
    if (taken.length >= behaviour.per_second) {
      tell("throttled");
      return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    taken.push(now);
    const { message, udh } = pdu.short_message;
    const id = `id-${++messages}`;
    tell("submit", {
      id,
      from: [pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi],
      to: [pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi],
      text: message,
      header: udh ? udh.map((part) => part.toString("hex")) : [],
      payload: pdu.message_payload ? pdu.message_payload.message : null,
      coding: pdu.data_coding,
      registered: pdu.registered_delivery,
      service_type: pdu.service_type,
    });
    if (behaviour.submit === "silent") return;
    if (behaviour.submit === "hang up") return session.destroy();
    held.push(() => {
      if (behaviour.deliver) session.deliver_sm(behaviour.deliver, answered);
      if (typeof behaviour.submit === "string")
        return session.send(new smpp.PDU(behaviour.submit, { sequence_number: pdu.sequence_number }));
      const failed = { command_status: behaviour.submit };
      session.send(pdu.response(behaviour.submit ? failed : { message_id: id }));
    });
    if (held.length < behaviour.hold) return;
    for (const answer of held.reverse()) answer();
    held = [];
  }

  const answered = (pdu) => tell(pdu.command, { status: pdu.command_status });

  const server = smpp.createServer(options.key ? options : {}, (session) => {
    sessions.add(session);
    session.on("error", () => session.destroy()); // what came was not SMPP
    session.on("close", () => sessions.delete(session) && tell("close"));
    session.on("bind_transmitter", (pdu) => bind(session, pdu));
    session.on("bind_transceiver", (pdu) => bind(session, pdu));
    session.on("submit_sm", (pdu) => submit(session, pdu));
    session.on("unbind", (pdu) => {
      tell("unbind");
      session.send(pdu.response());
      session.close();
    });
    session.on("enquire_link", (pdu) => {
      tell("enquire_link");
      if (behaviour.enquire) session.send(pdu.response());
    });
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => tell("listening", { port: server.address().port }));

  return {
    behave: (how) => Object.assign(behaviour, how),
    // Any request of an SMSC: deliver_sm, enquire_link, unbind, alert_notification, query_sm, …
    ask: ({ command, ...fields }) => sessions.forEach((one) => one[command](fields, answered)),
    raw: ({ hex }) => sessions.forEach((one) => one.socket.write(Buffer.from(hex, "hex"))),
    "hang up": () => sessions.forEach((one) => one.destroy()),
    flush: () => {},
    stop: () => {
      sessions.forEach((one) => one.destroy());
      server.close();
    },
  };
}

const running = {};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { smsc: number, order, ...facts } = JSON.parse(line);
    if (order === "start") {
      running[number] = start(number, facts);
      return;
    }
    running[number][order](facts);
    console.log(JSON.stringify({ smsc: number, event: "done", order }));
  })
  .on("close", () => process.exit());
