// Command runc stands in front of the real one, runc.real beside it: cri-dockerd asks for a negative oom_score_adj for every
// sandbox, and kubelet for some containers. Without CAP_SYS_RESOURCE, as on the machines of the lab, runc cannot lower a score and
// ends. containerd has a setting for that (restrict_oom_score_adj); Docker has none.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "runc of the lab: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if bundle := bundleOf(args); bundle != "" {
		if err := raiseScore(filepath.Join(bundle, "config.json")); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	real := filepath.Join(filepath.Dir(self), "runc.real")
	return syscall.Exec(real, append([]string{real}, args...), os.Environ())
}

// bundleOf finds the folder of `create --bundle FOLDER`; empty for the verbs that have none.
func bundleOf(args []string) string {
	for i, arg := range args {
		if (arg == "--bundle" || arg == "-b") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// raiseScore makes a negative process.oomScoreAdj of an OCI config 0 and leaves every other byte of the config's values as it was.
func raiseScore(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	process := map[string]json.RawMessage{}
	if err := json.Unmarshal(config["process"], &process); err != nil {
		return fmt.Errorf("%s: process: %w", path, err)
	}
	score := 0
	if raw, there := process["oomScoreAdj"]; there {
		if err := json.Unmarshal(raw, &score); err != nil {
			return fmt.Errorf("%s: oomScoreAdj: %w", path, err)
		}
	}
	if score >= 0 {
		return nil
	}
	process["oomScoreAdj"] = json.RawMessage("0")
	if config["process"], err = json.Marshal(process); err != nil {
		return err
	}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
