/**
 * A runtime with NRI's built-in default validator (containerd 2.2, CRI-O 1.34, where it is switched on) creates a container only while
 * every plugin is connected that an annotation of its sandbox requires. So a pod that requires ours needs no gate of its own.
 */

/** The name our NRI plugin registers by. */
export const PLUGIN_NAME = 'istio-pod-network-controller';

/** For the whole pod. With `/pod` behind it, it is stronger; with `/container.NAME`, the strongest, for that container. */
export const REQUIRED_PLUGINS = 'required-plugins.noderesource.dev';
export const REQUIRED_PLUGINS_OF_POD = `${REQUIRED_PLUGINS}/pod`;

/** Every key the validator may go by, as a pattern. */
export const REQUIRED_PLUGINS_KEY = '^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$';
/**
 * A list as we read and extend it: JSON, with names as NRI takes them. The validator reads YAML, and more of it than can be merged without
 * a parser.
 */
export const PLUGIN_LIST = '^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$';
/** Our name in such a list. */
export const NAMES_PLUGIN = `"${PLUGIN_NAME}"`;

/** No container of this pod is created while our plugin is away, as far as the pod can say so. The rule of admission says the same. */
export function requiresPlugin(annotations: Readonly<Record<string, string>>): boolean {
  const lists = Object.entries(annotations).filter(([key]) => new RegExp(REQUIRED_PLUGINS_KEY).test(key));
  const ofAll = lists.some(([key]) => key === REQUIRED_PLUGINS || key === REQUIRED_PLUGINS_OF_POD);
  return ofAll && lists.every(([, list]) => new RegExp(PLUGIN_LIST).test(list) && list.includes(NAMES_PLUGIN));
}
