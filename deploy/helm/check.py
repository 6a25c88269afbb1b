"""Checks manifests on standard input beyond their schemas: check.py ENV_EXAMPLE RULES_DIRECTORY < manifests.

Pods pass the pod security standard "restricted" and have requests, limits and probes; what selects pods finds some; every
variable is a setting of the program (.env.example); alerts are those of deploy/prometheus/rules. Prints each failure.
"""
import pathlib
import re
import sys

import yaml

# Of commands that are run in the container, and of Go.
OTHER_VARIABLES = {"BRIDGE_LEAF_URL", "BRIDGE_TLS_CA_FILE", "GOMEMLIMIT"}

failures = []


def want(ok, where, what):
    if not ok:
        failures.append(f"{where}: {what}")


def pods_of(document):
    return document["spec"]["template"] if document["kind"] in ("Deployment", "StatefulSet") else None


def check_pod(where, pod, settings):
    spec, security = pod["spec"], pod["spec"].get("securityContext", {})
    want(security.get("runAsNonRoot") is True, where, "runAsNonRoot is not true")
    want(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "seccompProfile is not RuntimeDefault")
    want(spec.get("automountServiceAccountToken") is False, where, "a token of the API server is mounted")
    want(spec.get("enableServiceLinks") is False, where, "enableServiceLinks is not false: variables of Services would look like settings")
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        want(not spec.get(host), where, f"{host} is set")
    for container in spec["containers"]:
        security = container.get("securityContext", {})
        want(security.get("allowPrivilegeEscalation") is False, where, "allowPrivilegeEscalation is not false")
        want(security.get("readOnlyRootFilesystem") is True, where, "readOnlyRootFilesystem is not true")
        want(security.get("capabilities", {}).get("drop") == ["ALL"], where, "not all capabilities are dropped")
        resources = container.get("resources", {})
        want(resources.get("requests", {}).keys() >= {"cpu", "memory"}, where, "no requests of CPU and memory")
        want("memory" in resources.get("limits", {}), where, "no limit of memory")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            want("httpGet" in container.get(probe, {}), where, f"no {probe}")
        names = [variable["name"] for variable in container.get("env", [])]
        want(len(names) == len(set(names)), where, "a variable is set twice")
        for name in names:
            want(name in settings or name in OTHER_VARIABLES, where, f"{name} is no setting in .env.example")
        volumes = {volume["name"] for volume in spec.get("volumes") or []} | set(pod.get("claims", []))
        mounts = {mount["name"] for mount in container.get("volumeMounts") or []}
        want(mounts <= volumes, where, f"mounts {sorted(mounts - volumes)} without a volume")
        want(volumes <= mounts, where, f"volumes {sorted(volumes - mounts)} are not mounted")
        for variable in container.get("env", []):
            value = variable.get("value", "")
            if variable["name"].endswith("_FILE") and value:
                want(any(value.startswith(mount["mountPath"] + "/") for mount in container.get("volumeMounts") or []), where, f"{variable['name']}={value} is below no volume")


def matches(selector, labels):
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []) if e["operator"] == "In")


def selectors(document):
    kind, spec = document["kind"], document.get("spec", {})
    if kind == "Service":
        yield {"matchLabels": spec["selector"]}
    elif kind in ("PodDisruptionBudget", "PodMonitor", "Deployment", "StatefulSet"):
        yield spec["selector"]
    elif kind == "NetworkPolicy":
        yield spec["podSelector"]
        for rule in (spec.get("ingress") or []) + (spec.get("egress") or []):
            for peer in rule.get("from", []) + rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield peer["podSelector"]


def check_references(documents, pods):
    there = {(d["kind"], d["metadata"]["name"]) for d in documents}
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        for selector in selectors(document):
            want(any(matches(selector, pod["metadata"]["labels"]) for pod in pods), where, f"selects no pod: {selector}")
        target = document.get("spec", {}).get("scaleTargetRef")
        if target:
            want((target["kind"], target["name"]) in there, where, f"scales {target['kind']} {target['name']}, which is not there")
            scaled = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (target["kind"], target["name"])]
            want(all("replicas" not in d["spec"] for d in scaled), where, "its target has replicas as well: each upgrade would undo the scaling")
        if document["kind"] == "Service":
            named = {port["name"] for pod in pods if matches({"matchLabels": document["spec"]["selector"]}, pod["metadata"]["labels"]) for c in pod["spec"]["containers"] for port in c["ports"]}
            for port in document["spec"]["ports"]:
                want(port["targetPort"] in named, where, f"port {port['targetPort']} is not one of its pods")


def check_rules(documents, directory):
    rules = [d for d in documents if d["kind"] == "PrometheusRule"]
    for document in rules:
        source = []
        for file in sorted(pathlib.Path(directory).glob("*.yml")):
            source += yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        want([without_runbooks(g) for g in document["spec"]["groups"]] == [without_runbooks(g) for g in source], "PrometheusRule", f"differs from {directory}")


def without_runbooks(group):
    return {**group, "rules": [{**r, "annotations": {k: v for k, v in r.get("annotations", {}).items() if k != "runbook_url"}} for r in group["rules"]]}


def main():
    settings = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), re.M))
    documents = [d for d in yaml.load_all(sys.stdin, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if d]
    pods = []
    for document in documents:
        pod = pods_of(document)
        if pod:
            pod["claims"] = [c["metadata"]["name"] for c in document["spec"].get("volumeClaimTemplates", [])]
            pods.append(pod)
            check_pod(f"{document['kind']} {document['metadata']['name']}", pod, settings)
    want(pods, "manifests", "there is no pod")
    check_references(documents, pods)
    check_rules(documents, sys.argv[2])
    for failure in failures:
        print("check.py:", failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
