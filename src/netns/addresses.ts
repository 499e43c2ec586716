import { NLM_F_DUMP, NLM_F_REQUEST, message, valueOf } from './netlink.ts';
import { NETLINK_ROUTE, withNetlink } from './netlink-socket.ts';
import { AF, readAddress } from './sockaddr.ts';

/** linux/rtnetlink.h, linux/if_addr.h */
const [RTM_NEWADDR, RTM_GETADDR] = [20, 22] as const;
const [IFA_ADDRESS, IFA_LOCAL] = [1, 2] as const;
const IFADDRMSG_BYTES = 8;
const DUMPS_MAX = 5;

/**
 * The addresses of the netns the calling thread is in, in their shortest form, of interfaces in any state. One dump: `os.networkInterfaces`
 * asks for all interfaces with their statistics as well.
 */
export function addressesHere(): readonly string[] {
  return withNetlink(NETLINK_ROUTE, (socket) => {
    for (let attempt = 1; ; attempt += 1) {
      const messages = socket.dump(message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(IFADDRMSG_BYTES)));
      if (messages !== undefined)
        return messages.flatMap((one) => (one.type === RTM_NEWADDR ? addressIn(one.body) : []));
      if (attempt === DUMPS_MAX) throw new Error('the addresses of the netns change all the time');
    }
  });
}

function addressIn(body: Buffer): string[] {
  const family = body.readUInt8(0) === AF[6] ? 6 : body.readUInt8(0) === AF[4] ? 4 : undefined;
  const attributes = body.subarray(IFADDRMSG_BYTES);
  // On a point-to-point link IFA_ADDRESS is the peer's.
  const address = valueOf(attributes, IFA_LOCAL) ?? valueOf(attributes, IFA_ADDRESS);
  return family === undefined || address === undefined ? [] : [readAddress(family, address)];
}
