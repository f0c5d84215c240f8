# aider, asked for an edit. A model this small may repeat itself for ever when it is greedy, as aider has it by default, so
# its own sampling is left on; and what it writes seldom applies. What counts is that its answer is whole.
set -eu
rm -rf edit && mkdir edit && cd edit
git init -q .
git config user.email a@example.org
git config user.name a
echo 'print("hello")' > hello.py
printf -- '- name: openai/thor\n  use_temperature: false\n' > ../settings.yml
export OPENAI_API_BASE="$THORD_URL" OPENAI_API_KEY=none AIDER_ANALYTICS_DISABLE=1
aider --model openai/thor --model-settings-file ../settings.yml --edit-format whole --yes-always --no-check-update \
    --no-show-model-warnings --no-show-release-notes --no-detect-urls --no-gitignore --map-tokens 0 \
    --message "Print goodbye instead of hello." hello.py > log 2>&1 || {
    tail -20 log
    exit 1
}
grep -E "Tokens:" log
if grep -E "token limit|Error" log; then
    tail -20 log
    exit 1
fi
