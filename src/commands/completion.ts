import { type Application, type CommandContext, proposeCompletions } from '@stricli/core';
import { notAllowed } from './given.ts';

/** What shells call for proposals; it is no verb and stands in no help. */
export const COMPLETE = '__complete';
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

const NAME = 'istio-pod-network-controller';

/** `completion bash`: a script for the shell to source, which asks this program for proposals. */
export function completionScript(shell: string): string {
  switch (shell) {
    case 'bash':
      return BASH;
    case 'zsh':
      return ZSH;
    case 'fish':
      return FISH;
    default:
      throw notAllowed('completion', shell, SHELLS.join(', '));
  }
}

/** Proposals for the last of `words`, one a line; none where a file is wanted, so that the shell proposes its own. */
export async function completionLines<C extends CommandContext>(
  application: Application<C>,
  words: readonly string[],
  context: C,
): Promise<readonly string[]> {
  const proposals = await proposeCompletions(application, words, context);
  return proposals.map(({ completion }) => completion).filter((one) => one !== COMPLETE);
}

/** `-o default`: file names where nothing is proposed. */
const BASH = `# ${NAME} completion bash
_istio_pod_network_controller() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _istio_pod_network_controller ${NAME}
`;

const ZSH = `#compdef ${NAME}
_istio_pod_network_controller() {
  local -a proposals
  proposals=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${proposals[1]}" ]]; then compadd -- "\${proposals[@]}"; else _files; fi
}
compdef _istio_pod_network_controller ${NAME}
`;

/** fish adds file names by itself where nothing is proposed. */
const FISH = `# ${NAME} completion fish
function __istio_pod_network_controller
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  command $words[1] ${COMPLETE} $words[2..] (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete --command ${NAME} --arguments '(__istio_pod_network_controller)'
`;
