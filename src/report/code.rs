//! What the codes of diagnostics mean: a paragraph, an example and a fix for each.

use crate::diagnostic::{CODES, nearest};

/// Why a problem is one, what shows it, and what to do.
struct Meaning {
    code: &'static str,
    why: &'static str,
    example: &'static str,
    fix: &'static str,
}

macro_rules! meanings {
    ($($code:literal $why:literal, $example:literal => $fix:literal;)*) => {
        const MEANINGS: &[Meaning] =
            &[$(Meaning { code: $code, why: $why, example: $example, fix: $fix }),*];
    };
}

meanings! {
    "KS0101" "Everything that the scenario names is read before anything runs. Paths are relative to the scenario's \
              folder. A file has to be UTF-8 text of at most 256 MiB.",
        "manifests: [\"prod/nodepol.yaml\"]" => "Correct the path, or the file's permissions.";
    "KS0102" "A folder stands for all manifests in it, which are the files ending in .yaml, .yml and .json. This one \
              has none, so it can only be the wrong one.",
        "manifests: [\"docs/\"]" => "Name the folder that holds the manifests.";
    "KS0103" "The file cannot be read as YAML or JSON. The place is where reading ended; the mistake is often in the \
              line before it: an indentation, a colon without a space, a quote that is not closed.",
        "limits: {cpu: \"1000\"" => "Correct the syntax; `kubectl apply --dry-run=client -f FILE` says the same.";
    "KS0104" "YAML forbids a key to stand twice in one mapping. Tools that silently take one of the two do not \
              agree on which.",
        "replicas: 0\n  replicas: 1" => "Remove one of the two.";
    "KS0105" "Aliases can make a small file stand for an endless document. Depth and size are limited, so that such a \
              file ends at once.",
        "b: [*a, *a, *a, *a, *a, *a, *a, *a, *a]" => "Write the values out, or split the file.";
    "KS0106" "kubectl reads YAML 1.1, in which yes, no, on and off without quotes are booleans. Where a text belongs \
              the API server would refuse it; here it is taken as the text.",
        "values: [on]" => "Write it in quotes: \"on\".";
    "KS0107" "kubectl reads YAML 1.1, in which a number that begins with 0 is octal: 010 is 8. Here it is decimal.",
        "replicas: 010" => "Drop the zero, or use quotes where a text is meant.";
    "KS0108" "Manifests may hold ${VAR}, as envsubst fills it in. Values come from the scenario alone: with the \
              environment of the process the same input would not give the same result everywhere.",
        "role: \"${KARPENTER_ROLE}\"" => "Add it to the scenario: cluster: (env: {\"KARPENTER_ROLE\": \"...\"}).";
    "KS0109" "A kustomization may build on others, but not on itself, whether directly or through others.",
        "resources: [../base]  # and base names this folder" => "Remove one of the references.";
    "KS0110" "Nothing is ever fetched from a network: a result that depends on it is no result that can be made again.",
        "resources: [\"github.com/org/repo//base\"]" =>
        "kubectl kustomize URL > base.yaml, and name base.yaml as the resource.";
    "KS0111" "A resource or component that is a folder has to hold a file kustomization.yaml (or .yml, or \
              Kustomization), exactly one.",
        "resources: [../plain-folder]" => "Name the files of the folder, or add a kustomization.yaml.";
    "KS0112" "A strategic merge patch names its object by kind and name. No resource of the kustomization has them, \
              and kustomize refuses that as well.",
        "patches: [{path: pool-patch.yaml}]  # of NodePool/defalt" => "Correct kind, name or namespace in the patch.";
    "KS0113" "The target of a patch selects objects by regular expressions and labels. It selects none: kustomize \
              says nothing of that, although the patch was surely meant to do something.",
        "target: {kind: NodePool, name: spot-.*}" => "Correct the target, or remove the patch.";
    "KS0114" "The patch itself is wrong for its object: a JSON patch whose path does not exist, or a merge that finds \
              another type.",
        "- {op: replace, path: /spec/limit/cpu, value: 10}" => "Correct the path; `kubectl kustomize` shows the same.";
    "KS0201" "Scenario files are RON: like JSON, with ( ) around named fields, comments and trailing commas.",
        "horizon = \"80h\"," => "Write horizon: \"80h\",";
    "KS0202" "A name that the scenario does not have changes nothing, so it is refused rather than ignored.",
        "horizn: \"80h\"" => "Correct the name; src/scenario/schema.rs lists all of them.";
    "KS0203" "Most fields have a default; this one has none that would suit everybody.",
        "Arrivals(name: \"ci\")  # without process" => "Add the field.";
    "KS0204" "A field stands twice, and only one of the two can be meant.",
        "seed: 1, seed: 2" => "Remove one of the two.";
    "KS0205" "Durations are written as Go and Kubernetes write them: a number and one of h, m, s, ms, several in a row \
              if needed. Days have no unit.",
        "horizon: \"80 hours\"" => "Write \"80h\"; two days are \"48h\".";
    "KS0206" "The scenario's start is an instant of UTC with whole seconds, since Kubernetes stores instants so.",
        "start: \"5 Jan 2026\"" => "Write \"2026-01-05T09:00:00Z\".";
    "KS0207" "The value is of the right kind, but beyond what makes sense or can be computed.",
        "replications: 0" => "Choose a value that the message allows.";
    "KS0208" "The instance types, zones and prices of a region come from the embedded EC2 catalogue, which does not \
              have this one.",
        "region: \"us-west-4\"" => "Correct the name; zones go with it.";
    "KS0209" "The zones of a scenario stand for the subnets of its node classes, and lie in its region.",
        "region: \"us-west-2\", zones: [\"us-east-1a\"]" => "Name zones of the region, or leave zones out for all.";
    "KS0210" "The scenario can say this, but the model does not have it. A run without it would answer another \
              question, so there is none.",
        "a field that the message names" => "Remove it to run the rest.";
    "KS0211" "Each action of the timeline takes certain objects: KIND/NAME for what has no namespace, \
              KIND/NAMESPACE/NAME for what has one.",
        "Scale(\"inflate\", 5)" => "Write Scale(\"Deployment/other/inflate\", 5).";
    "KS0212" "The timeline changes something that neither the manifests nor an earlier Apply defines.",
        "Scale(\"Deployment/other/inflat\", 5)" => "Correct the name, or add the manifest.";
    "KS0213" "The run ends before this step, so it never happens.",
        "horizon: \"1h\", timeline: [At(\"2h\", ...)]" => "Lengthen the horizon, or remove the step.";
    "KS0214" "Without prices Karpenter's provider launches nothing, and no bill can be made.",
        "a region that the price list does not cover" => "Choose another region.";
    "KS0215" "Karpenter was asked whether a new, empty node of any NodePool could take a pod of this workload, and \
              said no. The text is Karpenter's own. The pods stay pending for ever.",
        "requests: {memory: 1Ti}  # types up to 256Gi" =>
        "Change requests or selectors of the pods, or requirements or limits of a NodePool.";
    "KS0216" "A step names instance types by name or by a pattern with `*`. No type of the catalogue has such a name, \
              so the step can only be a slip.",
        "StockOut(types: \"m5x.*\", lasts: \"10m\")" => "Correct the name; `karpsim catalog` lists all types.";
    "KS0217" "The step is about offerings (instance type, zone, capacity type) that exist, but no NodePool of the \
              scenario can launch any of them, so the run goes as it would without the step.",
        "StockOut(types: \"p5.*\", lasts: \"10m\")  # the NodePool allows m5 only" =>
        "Name types, zones and a capacity type that a NodePool allows, or remove the step.";
    "KS0218" "An earlier step of the timeline deletes the object, and no Apply between the two brings it back. The API \
              server would answer NotFound. Steps count in the order of their instants, those of one instant in the \
              order of the file.",
        "At(\"1h\", Delete(\"NodePool/old\")), At(\"2h\", Drift(\"NodePool/old\"))" =>
        "Remove the later step, or add At(\"90m\", Apply(...)) with the object's manifest.";
    "KS0220" "A policy's patch, an axis or --set changes an object that no manifest defines, so it would change \
              nothing.",
        "--set NodePool/defualt:spec.limits.cpu=10" => "Correct kind and name; with a namespace: KIND/NAMESPACE/NAME.";
    "KS0221" "The field does not exist in the object, or the path goes through something that has no fields.",
        "--set NodePool/default:spec.disruptions.consolidateAfter=5m" =>
        "Correct the path: spec.disruption.consolidateAfter.";
    "KS0222" "Policies are compared on one world. What says how long it lasts, when it starts and what is drawn in it \
              cannot differ between them.",
        "Policy(name: \"long\", patch: {\"horizon\": \"200h\"})" =>
        "Set it for the scenario, or with --set on the whole run.";
    "KS0223" "Reports and files go by the names of the policies, which therefore have to differ.",
        "policies: [Policy(name: \"calm\"), Policy(name: \"calm\")]" => "Rename one.";
    "KS0224" "--policy names one of the scenario's policies.",
        "--policy clam" => "Correct the name; the message lists the policies.";
    "KS0225" "An axis without values makes an empty grid.",
        "Axis(path: \"NodePool/default:spec.limits.cpu\", values: [])" => "Add values, or remove the axis.";
    "KS0230" "A trace or series is checked to its last row before the run: each row has to be readable, and none \
              earlier than the one before it.",
        "pod_name,arrival_s\np1,-3" => "Correct the row. Instants are decimal seconds since the start.";
    "KS0231" "A file of replicas holds a column that names the deployment of each row; none has this name.",
        "Replicas(name: \"web\", file: \"replicas.csv\")" => "Name the file's deployment with column: \"...\".";
    "KS0232" "The trace has columns that would matter to where a pod can run, but are not modelled. They are left out, \
              so that the pods are easier to place than the recorded ones were.",
        "pod_name,arrival_s,gpu_model" => "Accept it, or express it with node_selector.";
    "KS0233" "Each row of a trace is a pod, and a namespace holds no two pods of one name. Where a recorded pod came \
              back under its name, as those of StatefulSets do, each of its lives is a row with a name of its own.",
        "pod_name,arrival_s\nweb-0,10\nweb-0,3600" => "Rename one of the two: web-0-2.";
    "KS0301" "A document has to be a mapping with apiVersion, kind and metadata.name.",
        "- just\n- a list" => "Remove the document, or complete it.";
    "KS0302" "The field is not in the API of Karpenter v1.14. The API server would drop it or refuse it; a misspelt \
              field of a NodePool is the most usual reason why a policy does nothing.",
        "consolidateAftr: 1m" => "Correct the name, or remove the field.";
    "KS0303" "Core objects hold many fields that do not matter here. Unknown ones are listed once and ignored.",
        "spec: {replcas: 3}" => "Have a look whether one of them is misspelt.";
    "KS0304" "The field holds another type than the API has there.",
        "cpu: [1]" => "Write the type that the message names.";
    "KS0305" "Quantities are Kubernetes' own: a number with an optional suffix, Ki Mi Gi by 1024, k M G by 1000, m \
              for thousandths.",
        "memory: 1000Gb" => "Write 1000Gi.";
    "KS0306" "Labels have at most 63 characters: letters, digits, - _ . between letters or digits; keys may have a DNS \
              name before a slash.",
        "labels: {\"team name\": x}" => "Rename it.";
    "KS0307" "The field accepts a few words only.",
        "consolidationPolicy: WhenUnderutilized" => "Write one of the words that the message names.";
    "KS0308" "The API server requires the field.",
        "a NodePool without spec.template.spec.nodeClassRef" => "Add it.";
    "KS0309" "The API server's validation or Karpenter's own refuses the value, or the combination of values.",
        "budgets: [{nodes: \"10%\", schedule: \"@daily\"}]  # without duration" => "Do what the rule says.";
    "KS0310" "These fields are known, but nothing in the simulation depends on them.",
        "spec: {template: {spec: {dnsPolicy: Default}}}" => "Nothing has to be done.";
    "KS0311" "The field would change results, and the model does not have it. Running on without saying so would give \
              a wrong answer silently.",
        "a field that the message names" => "Remove the field to run without it.";
    "KS0312" "Objects of these kinds cannot change what nodes are needed. They are listed once.",
        "kind: Service" => "Nothing has to be done.";
    "KS0313" "Objects of this kind would change results, and the model does not have them.",
        "a kind that the message names" => "Remove the object to run without it.";
    "KS0314" "Karpenter v1 reads karpenter.sh/v1 and karpenter.k8s.aws/v1. Provisioners and v1beta1 objects have to be \
              converted first.",
        "apiVersion: karpenter.sh/v1beta1" => "Convert it; Karpenter's upgrade guide says which fields moved.";
    "KS0315" "Nothing is known of this kind: it may be a custom resource without influence, or a misspelling.",
        "kind: NodePol" => "Correct the kind, or ignore the warning.";
    "KS0316" "Two manifests define one object. kubectl would apply the second over the first; here nobody could say \
              which is meant.",
        "manifests: [\"base.yaml\", \"base-copy.yaml\"]" => "Remove one, or apply it later: At(\"1h\", Apply(...)).";
    "KS0317" "A NodePool takes instance types, zones and tags from its EC2NodeClass, so that has to be there.",
        "nodeClassRef: {kind: EC2NodeClass, name: defalt}" => "Add the EC2NodeClass, or correct its name.";
    "KS0318" "Karpenter tolerates names that EC2 does not have: they match nothing. So does karpsim, and says so.",
        "values: [\"c5.lagre\"]" => "Correct the name, if it is misspelt.";
    "KS0319" "The API server refuses pods of a PriorityClass that does not exist.",
        "priorityClassName: high" => "Add the PriorityClass, or remove the field.";
    "KS0320" "Without a NodePool Karpenter launches nothing, and all pods stay pending.",
        "manifests: [\"workloads/\"]" => "Add the manifests of Karpenter.";
    "KS0321" "The requirement names a zone in which the run has no subnet, so that no node can be there.",
        "{key: topology.kubernetes.io/zone, operator: In, values: [\"us-west-2d\"]}" =>
        "Add the zone to the scenario, or remove it from the requirement.";
    "KS0330" "NodePools with replicas are behind the feature gate StaticCapacity, which is off by default; without it \
              Karpenter ignores them.",
        "spec: {replicas: 3}" =>
        "autoscaler: Karpenter(options: (feature_gates: {\"StaticCapacity\": true})), or remove replicas.";
    "KS0331" "The controller of this kind runs only with its feature gate.",
        "kind: NodeOverlay" => "Switch the gate on in autoscaler.options.feature_gates, or remove the object.";
    "KS0332" "Two NodeOverlays of one weight set the same of the same offerings. Karpenter takes neither rather than \
              one by chance.",
        "two overlays of weight 10 with a price for m5.large" => "Give them different weights.";
    "KS0401" "Filters and --sort of karpsim catalog know certain keys.",
        "karpsim catalog 'vcpus>=4'" => "Correct the key: vcpu.";
    "KS0402" "A term of a filter is KEY OP VALUE, or a flag alone or after an exclamation mark.",
        "karpsim catalog 'vcpu>='" => "Complete it: vcpu>=4.";
}

/// True for a word that is written like a code.
pub fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("KS").or_else(|| text.strip_prefix("ks"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

/// What a code means, as text. The error is the nearest code that there is.
pub fn explain(code: &str) -> Result<String, Option<String>> {
    let code = code.to_uppercase();
    let named = CODES.iter().find(|(known, ..)| *known == code);
    let meaning = MEANINGS.iter().find(|meaning| meaning.code == code);
    let (Some((_, severity, title)), Some(meaning)) = (named, meaning) else {
        let codes = CODES.iter().map(|(known, ..)| *known);
        return Err(nearest(&code, codes).into_iter().next());
    };
    let Meaning { why, example, fix, .. } = meaning;
    let mut text = String::new();
    super::explanation::wrap(
        &mut text,
        "",
        "",
        &format!("{code}, {}: {}", severity.name(), title.trim()),
    );
    text.push('\n');
    super::explanation::wrap(&mut text, "", "", why);
    text.push_str("\nExample:\n");
    example.lines().for_each(|line| text.push_str(&format!("    {}\n", line.trim())));
    text.push('\n');
    super::explanation::wrap(&mut text, "Fix: ", "     ", fix);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_meaning_and_nothing_else_has() {
        let known: Vec<&str> = CODES.iter().map(|(code, ..)| *code).collect();
        let explained: Vec<&str> = MEANINGS.iter().map(|meaning| meaning.code).collect();
        assert_eq!(known, explained);
        for meaning in MEANINGS {
            let Meaning { code, why, example, fix } = meaning;
            assert!(why.ends_with('.') && fix.ends_with(['.', ',', ')']), "{code}");
            assert!(!example.is_empty(), "{code}");
        }
    }

    #[test]
    fn a_code_is_told_with_its_severity_and_example() {
        let text = explain("ks0307").expect("a code");
        assert!(
            text.starts_with("KS0307, error: A word that the field does not accept."),
            "{text}"
        );
        assert!(text.contains("    consolidationPolicy: WhenUnderutilized\n"), "{text}");
        assert_eq!(explain("KS0399"), Err(Some("KS0309".to_owned())));
        assert!(is_code("KS0307") && !is_code("KS") && !is_code("reports/KS1"));
    }
}
