// Who wants to know when something changes. Whoever has left the page is forgotten.

/**
 * Calls of one kind of news.
 * @template News
 */
export class Watchers {
  /** @type {{ node: { isConnected: boolean }, act: (news: News) => unknown, seen: boolean }[]} */
  #all = [];

  /**
   * Calls `act` with each piece of news, from now until `node` has left the page. It need not be in the page yet.
   * @param {{ isConnected: boolean }} node
   * @param {(news: News) => unknown} act
   */
  add(node, act) {
    this.#all.push({ node, act, seen: false });
  }

  /** @param {News} news */
  notify(news) {
    for (const one of this.#all) one.seen ||= one.node.isConnected;
    this.#all = this.#all.filter((one) => !one.seen || one.node.isConnected);
    for (const one of [...this.#all]) one.act(news);
  }
}
