# GuideLLM with its own check of the server and its own way of asking; few and short requests.
set -eu
guidellm run --backend "kind=openai_http,target=${THORD_URL%/v1}" --tokenizer "kind=hf_auto,model=$THORD_TOKENIZER" \
    --data "kind=synthetic_text,prompt_tokens=32,output_tokens=8" --profile "kind=concurrent,streams=2" \
    --constraint "kind=max_requests,count=4" --output "kind=json,path=report.json" --disable-progress > log 2>&1 || {
    tail -30 log
    exit 1
}
python - <<PYTHON
import json
(benchmark,) = json.load(open("report.json"))["benchmarks"]
counted = benchmark["metrics"]["request_totals"]
print(counted)
assert counted["successful"] == 4 and not counted["errored"], counted
PYTHON
