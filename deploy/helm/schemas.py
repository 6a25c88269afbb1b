"""Writes the JSON schemas that kubeconform needs for some manifests: schemas.py OUT CRD_DIRECTORY... < manifests.

Those of Kubernetes come from the package kubernetes-validate. Its references lead to a common file that kubeconform cannot
find; here each schema gets the definitions that it uses. Those of other kinds come from their definitions (CRD).
"""
import json
import pathlib
import sys

import kubernetes_validate
import yaml

KUBERNETES = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.36.0-local-strict"
DEFINITIONS = "#/$defs/"  # behind the address of the common file, or alone within it


def name_of(kind, api_version):
    """The file name that kubeconform looks for."""
    group, _, version = api_version.rpartition("/")
    parts = [kind.lower()] + ([group.split(".")[0]] if group else []) + [version]
    return "-".join(parts) + ".json"


def localise(node, used):
    """Rewrites references to the common file as local ones, and notes what they lead to."""
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str) and DEFINITIONS in ref:
            target = ref.split(DEFINITIONS)[1]
            used.add(target)
            return {"$ref": "#/definitions/" + target}
        # An id of its own would make references relative to an address that cannot be reached.
        return {key: localise(value, used) for key, value in node.items() if not (key in ("$id", "$schema") and isinstance(value, str))}
    if isinstance(node, list):
        return [localise(item, used) for item in node]
    return node


def self_contained(schema, definitions):
    used = set()
    out = localise(schema, used)
    kept, waiting = {}, sorted(used)
    while waiting:
        target = waiting.pop()
        if target in kept:
            continue
        more = set()
        kept[target] = localise(definitions[target], more)
        waiting.extend(sorted(more - kept.keys()))
    if kept:
        out["definitions"] = kept
    return out


def strict(node):
    """A schema of a CRD that refuses unknown fields, as the API server does with strict validation."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: strict(value) for key, value in node.items()}
    if out.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    if "properties" in out and isinstance(out.get("properties"), dict) and "additionalProperties" not in out and not out.get("x-kubernetes-preserve-unknown-fields"):
        out["additionalProperties"] = False
    return out


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A definition has "=" in a list of operators, which is a value of its own kind in YAML 1.1."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def custom(kind, api_version, directories):
    """The schema of a kind that has a CRD below the directories, or None."""
    for directory in directories:
        for file in sorted(pathlib.Path(directory).glob("*.yaml")):
            text = file.read_text(encoding="utf-8")
            if f"kind: {kind}\n" not in text:
                continue
            for document in yaml.load_all(text, Loader=Loader):
                spec = document["spec"]
                for version in spec["versions"]:
                    if (spec["names"]["kind"], spec["group"] + "/" + version["name"]) == (kind, api_version):
                        schema = strict(version["schema"]["openAPIV3Schema"])
                        schema["properties"]["metadata"] = {"type": "object"}
                        return schema
    return None


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    wanted = {(d["kind"], d["apiVersion"]) for d in yaml.load_all(sys.stdin, Loader=Loader) if d}
    definitions = None
    for kind, api_version in sorted(wanted):
        file = out / name_of(kind, api_version)
        if file.exists():
            continue
        source = KUBERNETES / file.name
        if source.exists():
            definitions = definitions or json.loads((KUBERNETES / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
            schema = self_contained(json.loads(source.read_text(encoding="utf-8")), definitions)
        else:
            schema = custom(kind, api_version, sys.argv[2:])
            if schema is None:
                sys.exit(f"schemas.py: no schema of {kind} {api_version}: neither Kubernetes 1.36 nor {' '.join(sys.argv[2:])} has it")
        file.write_text(json.dumps(schema), encoding="utf-8")


main()
