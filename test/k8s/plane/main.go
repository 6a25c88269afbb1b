// Command plane is the control plane of Kubernetes in one program, for the test of the manifests:
// plane apiserver, plane controller-manager and plane scheduler take the flags of kube-apiserver,
// kube-controller-manager and kube-scheduler. It is a module of its own, because Kubernetes brings
// several hundred packages.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	os.Exit(run())
}

func run() int {
	parts := map[string]func() *cobra.Command{
		"apiserver":          apiserver.NewAPIServerCommand,
		"controller-manager": manager.NewControllerManagerCommand,
		"scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	}
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: plane apiserver|controller-manager|scheduler [flags]")
		return 2
	}
	command := parts[os.Args[1]]()
	command.SetArgs(os.Args[2:])
	return cli.Run(command)
}
