// Compares the page's own code with vectors that the Python side made; the same in Node and in Chromium.
// Returns {failures: what came out differently, count: how many were compared}. `load` gives a module of the page.

export async function check(vectors, load) {
  const names = ["bytes", "choice_words", "encoding", "fields", "gate", "hashing", "provisions", "signing", "tickets"];
  const [bytes, words, encoding, fields, gate, hashing, provisions, signing, tickets] = await Promise.all(names.map(load));
  const [shares, transactions, ukTime, wallet] = await Promise.all(["shares", "transactions", "uk_time", "wallet"].map(load));
  const { hex } = bytes;
  const failures = [];
  let count = 0;

  const raw = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const value = (each) => {
    if (Array.isArray(each)) return each.map(value);
    return each !== null && typeof each === "object" ? raw(each.hex) : each;
  };
  const same = (name, got, want) => {
    count += 1;
    const shown = got instanceof Uint8Array ? hex(got) : got;
    if (JSON.stringify(shown) !== JSON.stringify(want)) failures.push(`${name}: expected ${want}, came ${shown}`);
  };
  const refused = (name, act) => {
    count += 1;
    try {
      act();
    } catch (error) {
      if (/Invalid$/.test(error.constructor.name)) return;
      throw error;
    }
    failures.push(`${name}: expected a refusal`);
  };

  for (const { value: each, encoded } of vectors.encoded) {
    same(`encoding ${encoded}`, encoding.encode(value(each)), encoded);
    same(`decoding ${encoded}`, encoding.encode(encoding.decode(raw(encoded))), encoded);
  }
  for (const encoded of vectors.refused) refused(`decoding ${encoded}`, () => encoding.decode(raw(encoded)));
  for (const { text, encoded } of vectors.base64) {
    same(`base64url ${encoded}`, bytes.base64url(raw(encoded)), text);
    same(`from base64url ${text}`, bytes.fromBase64url(text), encoded);
  }
  for (const each of vectors.tagged) same(`tagged ${each.tag}`, await hashing.tagged(each.tag, ...value(each.parts)), each.hash);
  for (const each of vectors.branches) same(`branch ${each.path}`, await hashing.branch(raw(each.seed), ...each.path), each.secret);
  for (const each of vectors.roots) same(`root of ${each.leaves.length}`, await hashing.merkleRoot(value(each.leaves)), each.root);
  for (const each of vectors.fields) {
    const committed = await fields.commit(value(each.values), raw(each.secret));
    same(`fields of ${each.values.length}`, [hex(committed.root), hex(committed.bytes)], [each.root, each.encoded]);
  }
  for (const each of vectors.keys) {
    const key = await signing.signingKey(raw(each.seed));
    const signature = await key.signTagged(each.tag, raw(each.message));
    same(`key of ${each.seed}`, [hex(key.public), hex(signature)], [each.public, each.signature]);
  }
  for (const each of vectors.transactions) {
    const keys = await Promise.all(each.seeds.map((seed) => signing.signingKey(raw(seed))));
    const message = transactions[each.make](...value(each.given));
    const terms = { chain: vectors.chain, timeS: each.time_s, nonce: raw(each.nonce) };
    same(`transaction ${each.make}`, await transactions.signedBy(message, keys, terms), each.raw);
  }
  for (const each of vectors.bodies) {
    const added = transactions.keyAddedBy(raw(each.body), { chain: vectors.chain, timeS: each.time_s });
    same(`body ${each.name}`, added && [hex(added.pseudonym), hex(added.key), added.kind, added.expiresAtS], each.added);
  }
  for (const { seed, custodian, key, from_s: fromS, until_s: untilS, certified } of vectors.sessions) {
    const terms = { sessionKey: raw(key), custodian, fromS, untilS };
    same(`session at ${custodian}`, await transactions.certifySession(terms, await signing.signingKey(raw(seed))), certified);
  }
  for (const each of vectors.tickets) {
    const { audience, resources, time_s: timeS, expires_at_s: expiresAtS } = each;
    const terms = { audience, resources, timeS, expiresAtS, chain: vectors.chain };
    const made = await tickets.newTicket({ ...terms, pseudonym: raw(each.pseudonym), secret: raw(each.secret) });
    same(`ticket for ${audience}`, [made.bearer, hex(made.key.public)], [each.bearer, each.public]);
  }
  for (const each of vectors.wallets) {
    const relationships = each.relationships.map(([chain, custodian, pseudonym, keyNumber]) => {
      return { chain, custodian, pseudonym: raw(pseudonym), keyNumber };
    });
    const held = { seed: raw(each.seed), relationships };
    same("wallet", wallet.encodeWallet(held), each.encoded);
    const place = { account: raw(each.account), device: raw(each.device), share: raw(each.share) };
    const terms = { place, prf: raw(each.prf), salt: raw(each.salt), nonce: raw(each.nonce) };
    const blob = await wallet.wrap(held, terms);
    same("blob", blob, each.blob);
    same("opened blob", wallet.encodeWallet(await wallet.unwrap(blob, terms)), each.encoded);
    same("public key", (await wallet.ownKey(held, relationships[0])).public, each.public);
    const { pseudonym } = relationships[0];
    same("voucher", await wallet.voucherOf(held, pseudonym, raw(each.choice), raw(each.tree)), each.voucher);
    const items = relationships.map((one) => ({ pseudonym: one.pseudonym, key: one.pseudonym }));
    same("code", await wallet.codeOf(items), each.code);
  }
  for (const each of vectors.shares) {
    same(`seed of ${each.words.length} shares`, await shares.combineShares(each.words), each.seed);
    const made = await shares.splitSeed(raw(each.seed), each.words.length, 6);
    same(`seed of ${made.length} shares made here`, await shares.combineShares(made.toReversed()), each.seed);
  }
  for (const { place, words: wrong } of vectors.refused_shares) {
    const came = await shares.combineShares(wrong).catch((error) => error.place);
    same(`refused ${wrong.length} shares`, came, place);
  }
  for (const { time_s: timeS, words: said } of vectors.times) same(`time ${timeS}`, ukTime.ukTime("en", timeS), said);
  for (const each of vectors.trees) {
    const tree = provisions.decodeTree(raw(each.tree));
    same(`tree ${each.tree}`, provisions.encodeTree(tree), each.tree);
    same(`gate of ${each.tree}`, encoding.encode(gate.gateOf(tree)), each.gate);
    const said = words.sentences("en", tree, new Map(vectors.names)).map((one) => [one.path, one.words]);
    if (each.words) same(`words of ${each.tree}`, said, each.words);
  }
  for (const tree of vectors.refused_trees) refused(`tree ${tree}`, () => provisions.decodeTree(raw(tree)));
  return { failures, count };
}
