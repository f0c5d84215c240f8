# aider, asked about a file: what counts is that the answer is whole. So small a model writes no edit that would apply, and
# may repeat itself for ever when it is greedy, as aider has it by default: its own sampling is left on.
set -eu
rm -rf edit && mkdir edit && cd edit
git init -q .
git config user.email a@example.org
git config user.name a
echo 'print("hello")' > hello.py
printf -- '- name: openai/thor\n  use_temperature: false\n' > ../settings.yml
export OPENAI_API_BASE="$THORD_URL" OPENAI_API_KEY=none AIDER_ANALYTICS_DISABLE=1
aider --model openai/thor --model-settings-file ../settings.yml --chat-mode ask --yes-always --no-check-update \
    --no-show-model-warnings --no-show-release-notes --no-detect-urls --no-gitignore --map-tokens 0 \
    --message "What does hello.py print?" hello.py > log 2>&1 || {
    tail -20 log
    exit 1
}
grep -E "Tokens:" log
if grep -E "token limit|BadRequestError|APIError" log; then
    tail -20 log
    exit 1
fi
